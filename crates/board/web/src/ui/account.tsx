// Keys and the end of the session.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type Key } from "../api";
import { formatAgo } from "../values";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Menu } from "./menu";
import { Shortcuts, useShortcutsKey } from "./shortcuts";
import { Loading } from "./state";
import { toast, toastError } from "./toast";

export function AccountMenu() {
  const [hasKeys, setKeys] = useState(false);
  const [hasShortcuts, setShortcuts] = useState(false);
  useShortcutsKey(() => setShortcuts(true));
  const leave = () => api.logOut().then(() => location.assign("/login"), toastError);
  return (
    <>
      <Menu
        icon="user"
        label="Account"
        bare
        items={[
          { label: "Keyboard shortcuts", hint: "?", icon: "row", onSelect: () => setShortcuts(true) },
          { label: "Access keys…", icon: "key", onSelect: () => setKeys(true) },
          { label: "Log out", icon: "external", onSelect: () => void leave() },
        ]}
      />
      {hasKeys && <Keys onClose={() => setKeys(false)} />}
      {hasShortcuts && <Shortcuts onClose={() => setShortcuts(false)} />}
    </>
  );
}

const RIGHTS = [
  ["read", "read"],
  ["write", "read and write"],
  ["admin", "all, with keys"],
] as const;

function Keys({ onClose }: { onClose(): void }) {
  const [keys, setKeys] = useState<Key[] | null>(null);
  const [refusal, setRefusal] = useState("");
  const [made, setMade] = useState<Key | null>(null);
  const [asked, setAsked] = useState<string | null>(null);
  const load = () => api.keys().then(setKeys, (error: ApiError) => setRefusal(error.message));
  useEffect(() => void load(), []);
  const revoke = async (id: string) => {
    setAsked(null);
    await api.revokeKey(id).catch(toastError);
    await load();
  };
  const valid = (keys ?? []).filter((key) => !key.revoked_at);
  return (
    <Dialog title="Keys" onClose={onClose}>
      {!keys && !refusal && <Loading what="Loading the keys…" />}
      {refusal && <p>{refusal}</p>}
      {keys && (
        <>
          <ul class="keys">
            {valid.map((key) => (
              <li key={key.id}>
                <span>
                  <b>
                    <bdi>{key.name}</bdi>
                  </b>
                  <small>
                    {key.right} · {key.entity ?? "all entities"} · made {formatAgo(new Date(key.created_at))}
                  </small>
                </span>
                {asked === key.id ? (
                  <Button label="Revoke it for good" kind="danger" onClick={() => void revoke(key.id)} />
                ) : (
                  <Button icon="trash" label={`Revoke ${key.name}`} bare onClick={() => setAsked(key.id)} />
                )}
              </li>
            ))}
          </ul>
          {made?.key ? <Made secret={made.key} /> : (
            <NewKey
              onMake={async (name, entity, right) => {
                try {
                  setMade(await api.addKey(name, entity, right));
                  await load();
                } catch (error) {
                  toastError(error);
                }
              }}
            />
          )}
        </>
      )}
    </Dialog>
  );
}

/** A key that was just made: the server does not show it again. */
function Made({ secret }: { secret: string }) {
  const copy = () => navigator.clipboard.writeText(secret).then(() => toast("The key is copied"));
  return (
    <p class="made-key" role="status">
      The new key, shown only now:
      <code>{secret}</code>
      <Button icon="copy" label="Copy the key" onClick={() => void copy()} />
    </p>
  );
}

function NewKey({ onMake }: { onMake(name: string, entity: string, right: string): void }) {
  const form = useRef<HTMLFormElement>(null);
  const text = (name: string) => String(new FormData(form.current ?? undefined).get(name) ?? "").trim();
  return (
    <form
      ref={form}
      class="new-key"
      onSubmit={(event) => {
        event.preventDefault();
        onMake(text("name"), text("entity"), text("right"));
      }}
    >
      <label class="field">
        <span>Name of a new key</span>
        <input name="name" required maxLength={100} autofocus />
      </label>
      <label class="field">
        <span>Entity</span>
        <input name="entity" placeholder="all" />
      </label>
      <label class="field">
        <span>Right</span>
        <select name="right">
          {RIGHTS.map(([right, about]) => (
            <option key={right} value={right}>
              {about}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="button primary">
        Make a key
      </button>
    </form>
  );
}
