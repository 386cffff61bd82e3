// How to log a table's first row.

import { useState } from "preact/hooks";
import { Button } from "./button";
import { State } from "./state";
import { toast } from "./toast";

const WAYS: [string, (name: string) => string][] = [
  ["Python", (name) => `from streamtable import StreamTable\n\nst = StreamTable("${name}")\nst.log({"x": 1})`],
  ["Shell", (name) => `echo '{"x": 1}' | streamtable log ${name}`],
  ["Rust", (name) => `let table = streamtable::blocking::StreamTable::open("${name}")?;\ntable.log(row! { "x": 1 })?;\ntable.finish()?;`],
];

/** Three lines of code that log a row, in the language of choice. */
export function HowToLog({ name }: { name: string }) {
  const [chosen, choose] = useState(0);
  const code = WAYS[chosen]?.[1](name) ?? "";
  return (
    <div class="how-to-log">
      <p role="group" aria-label="Language">
        {WAYS.map(([language], i) => (
          <Button key={language} label={language} pressed={i === chosen} onClick={() => choose(i)} />
        ))}
        <Button
          icon="copy"
          label="Copy the code"
          bare
          onClick={() => void navigator.clipboard.writeText(code).then(() => toast("The code is copied"))}
        />
      </p>
      <pre>{code}</pre>
    </div>
  );
}

export function NoTable({ name }: { name: string }) {
  return (
    <State icon="row" title="No such table yet">
      <p>
        <b>{name}</b> is made by its first row, and appears here then:
      </p>
      <HowToLog name={name} />
    </State>
  );
}
