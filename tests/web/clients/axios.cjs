const { readFileSync } = require("node:fs");
const axios = require("axios");

async function main(address, path) {
  const service = axios.create({ baseURL: address });
  const headers = { "Content-Type": "image/png" };
  const body = readFileSync(path);

  const picture = await service.post("/denoise", body, { headers, responseType: "arraybuffer" });
  console.log(picture.data.toString("base64"));

  const json = await service.post("/denoise", body, { headers: { ...headers, Accept: "application/json" } });
  console.log(JSON.stringify(json.data));

  const problem = await service.post("/denoise", "no picture", { headers }).catch((error) => error.response);
  console.log(JSON.stringify(problem.data));
}

main(...process.argv.slice(2));
