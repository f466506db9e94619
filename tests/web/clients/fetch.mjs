import { readFile } from "node:fs/promises";

const [address, path] = process.argv.slice(2);
const headers = { "Content-Type": "image/png" };
const body = await readFile(path);

const picture = await fetch(`${address}/denoise`, { method: "POST", headers, body });
console.log(Buffer.from(await picture.arrayBuffer()).toString("base64"));

const form = new FormData();
form.append("file", new Blob([body]), "digit.png");
const json = await fetch(`${address}/denoise`, { method: "POST", headers: { Accept: "application/json" }, body: form });
console.log(JSON.stringify(await json.json()));

const problem = await fetch(`${address}/denoise`, { method: "POST", headers, body: "no picture" });
console.log(JSON.stringify(await problem.json()));
