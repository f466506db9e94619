/**
 * The call that the page makes, as one would write it: text to copy.
 *
 * @typedef {{address: string, file: string, kind: string, keyed: boolean}} Call
 */

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const quoted = (text) => JSON.stringify(text);

/** @type {Record<string, (call: Call) => string>} */
export const CALLS = {
  curl: ({ address, file, kind, keyed }) =>
    [
      `curl --data-binary ${shell(`@${file}`)} -H ${shell(`Content-Type: ${kind}`)}`,
      ...(keyed ? [`-H "Authorization: Bearer $DENOISE_KEY"`] : []),
      `${shell(address)} -o clean.png`,
    ].join(" \\\n  "),

  python: ({ address, file, kind, keyed }) =>
    `${keyed ? "import os\n" : ""}from pathlib import Path
from urllib.request import Request, urlopen

request = Request(
    ${quoted(address)},
    data=Path(${quoted(file)}).read_bytes(),
    headers={"Content-Type": ${quoted(kind)}${keyed ? `, "Authorization": f"Bearer {os.environ['DENOISE_KEY']}"` : ""}},
)
with urlopen(request) as answer:
    Path("clean.png").write_bytes(answer.read())`,

  javascript: ({ address, file, kind, keyed }) =>
    `import { readFile, writeFile } from "node:fs/promises";

const answer = await fetch(${quoted(address)}, {
  method: "POST",
  headers: { "Content-Type": ${quoted(kind)}${keyed ? ", Authorization: `Bearer ${process.env.DENOISE_KEY}`" : ""} },
  body: await readFile(${quoted(file)}),
});
if (!answer.ok) throw new Error((await answer.json()).detail);
await writeFile("clean.png", new Uint8Array(await answer.arrayBuffer()));`,
};
