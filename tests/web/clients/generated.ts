// Calls the service by what openapi-generator has made, which lies beside this file in `client`. Prints as the others do.
import { readFileSync } from "node:fs";
import { Configuration, ImagesApi, ProblemFromJSON, ResponseError, AnswerFromJSON, ServiceApi } from "./client";

async function main(basePath: string, path: string): Promise<void> {
  const file = [new Blob([new Uint8Array(readFileSync(path))])];
  const images = new ImagesApi(new Configuration({ basePath }));

  const picture = await images.denoise({ file });
  console.log(Buffer.from(await picture.arrayBuffer()).toString("base64"));

  const headers = { Accept: "application/json" };
  const answer = AnswerFromJSON(JSON.parse(await (await images.denoise({ file }, { headers })).text()));
  console.log(JSON.stringify({ width: answer.width, model: answer.model }));

  const failed: ResponseError = await images.denoise({ file: [new Blob(["no picture"])] }).catch((error) => error);
  console.log(JSON.stringify(ProblemFromJSON(await failed.response.json())));

  const { models } = await new ServiceApi(new Configuration({ basePath })).models();
  if (!models.some((model) => model.name === answer.model && model.task === "denoise")) throw new Error("no such card");
}

main(process.argv[2], process.argv[3]);
