// Runs and artifacts, made by the requests of W&B clients.

import { createHash } from "node:crypto";

/** A project with runs of each state, their files, console output and artifacts. */
export class Training {
  constructor(server, entity, project) {
    Object.assign(this, { server, entity, project });
  }

  async ask(query, variables) {
    const answer = await this.server.ask("POST", "/graphql", JSON.stringify({ query, variables }));
    const { data, errors } = await answer.json();
    if (errors) throw new Error(`${query}: ${JSON.stringify(errors)}`);
    return data;
  }

  /** Makes a run, or changes it. `config` has plain values. */
  async run(name, { config = {}, ...more } = {}) {
    const query = `mutation R($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { id } } }`;
    const values = Object.entries(config).map(([key, value]) => [key, { value }]);
    const input = { entityName: this.entity, modelName: this.project, name, ...more };
    await this.ask(query, { input: { ...input, config: JSON.stringify(Object.fromEntries(values)) } });
  }

  /** Posts lines of files to a run's stream. */
  async stream(run, files, more = {}) {
    const chunk = ({ from = 0, lines }) => ({ offset: from, content: lines });
    const body = { files: Object.fromEntries(Object.entries(files).map(([name, lines]) => [name, chunk(lines)])), ...more };
    const path = `/files/${this.entity}/${this.project}/${encodeURIComponent(run)}/file_stream`;
    const answer = await this.server.ask("POST", path, JSON.stringify(body));
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  async history(run, rows, from = 0) {
    const lines = rows.map((row, i) => JSON.stringify({ _step: from + i, ...row }));
    await this.stream(run, { "wandb-history.jsonl": { from, lines } });
  }

  async summary(run, summary) {
    const text = typeof summary === "string" ? summary : JSON.stringify(summary);
    await this.stream(run, { "wandb-summary.json": { lines: [text] } });
  }

  async output(run, lines, from = 0) {
    await this.stream(run, { "output.log": { from, lines } });
  }

  /** Posts metrics of the machine, as objects. */
  async machine(run, events) {
    await this.stream(run, { "wandb-events.jsonl": { lines: events.map((event) => JSON.stringify(event)) } });
  }

  async end(run, exitcode = 0) {
    await this.stream(run, {}, { complete: true, exitcode });
  }

  /** Logs a version of an artifact with files, by their paths. */
  async artifact(run, type, name, files, { aliases = [], ...more } = {}) {
    const md5 = (content) => createHash("md5").update(content).digest("base64");
    const contents = Object.entries(files).map(([path, content]) => [path, { digest: md5(content), size: Buffer.byteLength(content) }]);
    const manifest = JSON.stringify({ version: 1, contents: Object.fromEntries(contents) });
    const place = { entityName: this.entity, projectName: this.project, runName: run };
    const { createArtifact } = await this.ask(
      `mutation A($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id } } }`,
      {
        input: {
          ...place,
          artifactTypeName: type,
          artifactCollectionName: name,
          digest: md5(manifest),
          aliases: aliases.map((alias) => ({ artifactCollectionName: name, alias })),
          ...more,
        },
      },
    );
    const artifactID = createArtifact.artifact.id;
    const { createArtifactManifest } = await this.ask(
      `mutation M($input: CreateArtifactManifestInput!) {
        createArtifactManifest(input: $input) { artifactManifest { file { uploadUrl } } } }`,
      { input: { ...place, artifactID, name: "wandb_manifest.json", digest: md5(manifest) } },
    );
    await put(createArtifactManifest.artifactManifest.file.uploadUrl, manifest);
    const { createArtifactFiles } = await this.ask(
      `mutation F($files: [CreateArtifactFileSpecInput!]!) { createArtifactFiles(input: {artifactFiles: $files}) {
        files { edges { node { name uploadUrl } } } } }`,
      { files: Object.entries(files).map(([name, content]) => ({ artifactID, name, md5: md5(content) })) },
    );
    for (const { node } of createArtifactFiles.files.edges) {
      if (node.uploadUrl) await put(node.uploadUrl, files[node.name]);
    }
    await this.ask(`mutation C($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id } } }`, { id: artifactID });
    return artifactID;
  }

  async use(run, artifactID) {
    const input = { entityName: this.entity, projectName: this.project, runName: run, artifactID };
    await this.ask(`mutation U($input: UseArtifactInput!) { useArtifact(input: $input) { artifact { id } } }`, { input });
  }
}

async function put(url, body) {
  const answer = await fetch(url, { method: "PUT", body });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
}

/** A course of training that is the same in each run of the tests. */
export function epochs(count, rate) {
  return Array.from({ length: count }, (_, i) => {
    const noise = Math.sin(i * 12.9898 + rate * 78.233) * 0.04;
    const loss = 1.8 * Math.exp((-i * rate) / count) + 0.12 + noise;
    const row = { loss, accuracy: 1 - loss / 2.2, "train/lr": 0.1 * (1 - i / count) };
    return i % 10 === 9 ? { ...row, "val/loss": loss + 0.08 } : row;
  });
}
