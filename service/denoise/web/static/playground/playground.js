/** The page: what is drawn or taken goes to the models, what comes back is shown; one picture after the other. */

import { CALLS } from "./calls.js";
import { drawBoxes, listDigits } from "./digits.js";
import { Pad } from "./pad.js";
import { countPages } from "./pages.js";
import {
  blend,
  canvasOf,
  codePicture,
  decode,
  difference,
  noisy,
  paint,
  paintFile,
  paintSmall,
  png,
  psnr,
} from "./pixels.js";
import * as service from "./service.js";

const SAMPLES = [
  ["gaussian", "A two under Gaussian noise"],
  ["salt-and-pepper", "A five with black and white specks"],
  ["stripes", "An eight with a scanner's stripes"],
  ["ruled", "A three on ruled paper"],
  ["faded", "A faded nine on uneven paper"],
  ["page", "A page of eighteen digits"],
];
const AT_A_TIME = 4; // requests
const PAUSE_MS = 50; // between two looks at what is being drawn
const PATIENCE_MS = 1000; // with an answer to something that has changed since
const SETTLED_MS = 300; // after which the status is told: a screen reader need not hear every stroke
const ALL = ""; // the value of the choice to see every model
const COMPARE_HEIGHT = 336; // px, at most
const THUMB = 144; // px: twice what it takes on the page, for fine screens
const FACT = 120; // px: the longer side of the small pictures, at most
const FREE_SCALE = 6; // from there a pixel more or less for some of a picture's is not seen
const WIDE = 1.6; // width by height: such a picture gets more room
const CHOICE = new Intl.ListFormat("en", { type: "disjunction" });
const KEY = "denoise-key"; // in the session's storage
const NARROW = matchMedia("(width < 760px)"); // as in playground.css: all is one column

const $ = (id) => document.getElementById(id);

/**
 * A picture on its way.
 *
 * @typedef {object} Picture
 * @property {string} name of the file
 * @property {Blob | null} file null when it is drawn here
 * @property {number | null} page of the file, from 1 on, where that has several
 * @property {import("./pixels.js").Grey | null} grey null when the browser does not know its kind
 * @property {Promise<object> | null} sent what is sent of it, once it is made
 * @property {Map<string, object>} answers by model; `problem` in those that failed
 * @property {object | null} [digits] what was found on it, or a `problem`, once that was asked for
 * @property {boolean} [stale] whether the answers are to something that has changed since
 */

const state = {
  pictures: [],
  chosen: 0,
  noise: { drawn: 0.4, taken: 0 }, // what is taken often has noise of its own
  strength: 1, // how much of an answer is shown
  colour: false, // whether ink keeps its own
  invert: "auto", // whether ink is dark, or the service finds out
  seed: 5,
  models: [],
  view: ALL,
  language: "curl",
  limits: null,
  key: sessionStorage.getItem(KEY) ?? "",
};

const pad = new Pad($("pad"), draw);
const chosen = () => state.pictures[state.chosen];
const modelOf = (name) => state.models.find((model) => model.name === name);
const kind = () => (chosen()?.file ? "taken" : "drawn");
const factor = () => state.noise[kind()];
const isFixed = (model) => Number.isInteger(model?.inputs[0].shape[1]);
const stem = (name) => name.replace(/\.[^.]*$/, "");

// ---- what is looked at -----------------------------------------------------------------------------------------

let taken = 0; // counts what was drawn or taken: a file that takes long to read does not replace what came after it

function draw() {
  taken += 1;
  if (pad.empty) {
    take([]);
  } else if (chosen() && !chosen().file) {
    Object.assign(chosen(), { grey: pad.picture(), sent: null, stale: true });
    $("undo").disabled = false;
    soon();
  } else {
    take([drawn()]);
  }
}

const drawn = () => ({
  name: "drawing.png",
  file: null,
  page: null,
  grey: pad.picture(),
  sent: null,
  answers: new Map(),
});

/** @param {File[] | Promise<File[]>} files */
async function takeFiles(files) {
  taken += 1;
  const turn = taken;
  const pictures = (await Promise.all([...(await files)].map(picturesOf))).flat();
  if (turn === taken && pictures.length) take(pictures);
}

/** The pictures in a file: itself, or its pages. */
async function picturesOf(file) {
  const pages = await countPages(file, state.limits.max_files);
  const one = { name: file.name, file, page: null, grey: await decode(file), sent: null, answers: new Map() };
  if (pages === 1) return [one];
  const end = file.name.slice(stem(file.name).length);
  return Array.from({ length: pages }, (_, i) => ({
    ...one,
    name: `${stem(file.name)}-${i + 1}${end}`,
    page: i + 1,
    grey: null, // what the browser shows of such a file is its first page
    answers: new Map(),
  }));
}

function take(pictures) {
  state.pictures = pictures;
  state.chosen = 0;
  listPictures();
  look();
  work();
}

/** Looks at the chosen picture. */
function look() {
  const picture = chosen();
  if (picture?.file) {
    const canvas = canvasOf(1, 1);
    if (picture.grey) paint(canvas, picture.grey);
    pad.put(canvas);
  }
  $("undo").disabled = !pad.own || pad.empty;
  $("pad-hint").hidden = Boolean(picture?.grey);
  $("pad-hint").textContent = picture ? "This browser cannot show this kind of file" : "Draw here";
  $("pad").setAttribute("aria-label", picture?.file ? `The picture ${picture.name}` : "Drawing area");
  $("given-title").textContent = picture?.file ? "Your picture, or draw over it" : "Draw a digit";
  $("noise").value = factor();
  showNoise();
  show();
}

function showNoise() {
  $("noise-value").textContent = factor().toFixed(2);
  $("again").disabled = !factor();
}

// ---- asking ----------------------------------------------------------------------------------------------------

let running = null; // the AbortController of the requests under way
let more = false; // the drawing or the noise has changed since they were sent
let waiting = 0; // the timer of the next

/** Asks again shortly: what has been asked is let come for a while, so that answers keep appearing as one draws. */
function soon() {
  more = Boolean(running);
  waiting ||= setTimeout(work, more ? PATIENCE_MS : PAUSE_MS);
  busy(true);
  showCall();
}

/** What is shown is about to be replaced. */
function busy(is) {
  $("main").classList.toggle("waiting", is);
  $("facts").setAttribute("aria-busy", is);
}

/** Asks for every answer that is lacking, the chosen picture's first; what was asked before is given up. */
async function work() {
  clearTimeout(waiting);
  waiting = 0;
  more = false;
  running?.abort();
  const mine = new AbortController();
  running = mine;
  for (const picture of state.pictures.filter(({ stale }) => stale)) {
    Object.assign(picture, { stale: false, answers: new Map(), digits: null });
  }
  const others = state.pictures.filter((picture) => picture !== chosen());
  const models = state.view === ALL ? state.models : [modelOf(state.view)];
  const jobs = [
    ...(chosen() ? models.map((model) => [chosen(), model]) : []),
    ...(state.view === ALL ? [] : others.map((picture) => [picture, models[0]])),
  ].filter(([picture, model]) => model && !picture.answers.has(model.name));
  const lacking = () => jobs.filter(([picture, { name }]) => picture === chosen() && !picture.answers.has(name));
  busy(lacking().length > 0);
  if (lacking().length) tell(`Asking ${lacking().map(([, { name }]) => name).join(", ")} …`);
  try {
    await service.each(jobs, AT_A_TIME, async ([picture, model]) => {
      const answer = await answerTo(picture, model, mine.signal);
      if (mine.signal.aborted) return;
      picture.answers.set(model.name, answer);
      busy(more || lacking().length > 0);
      show(picture);
    });
  } finally {
    if (running === mine) {
      running = null;
      busy(more);
      if (more) {
        clearTimeout(waiting);
        waiting = setTimeout(work, PAUSE_MS);
      }
    }
  }
}

async function answerTo(picture, model, signal) {
  try {
    picture.sent ??= prepare(picture);
    const sent = await picture.sent;
    if (sent.body.size > most()) {
      throw new service.Problem(
        `${picture.name} has ${amount(sent.body.size)}; the service takes up to ${amount(most())}.`,
      );
    }
    signal.throwIfAborted();
    const told = await service.clean(sent.body, service.address(model, sent.parameters), { key: state.key, signal });
    const file = new Blob([Uint8Array.from(atob(told.image), (letter) => letter.charCodeAt(0))], { type: "image/png" });
    const after = await decode(file);
    const { before, truth, original } = sent;
    const ratios = truth && { before: psnr(truth, before), after: psnr(truth, after) };
    return { ...told, file, before, after, original, colour: state.colour, psnr: ratios ?? told.psnr };
  } catch (problem) {
    if (!(problem instanceof service.Problem) && !signal.aborted) throw problem;
    return { problem };
  }
}

/** Asks for the digits of the chosen picture, as it is sent to the models. */
async function findDigits() {
  const picture = chosen();
  picture.sent ??= prepare(picture);
  const asked = picture.sent;
  tell("Looking for digits …");
  const digits = await digitsOf(await asked);
  if (picture.sent !== asked) return; // it has changed meanwhile
  picture.digits = digits;
  show(picture);
}

async function digitsOf({ body, parameters }) {
  const { color, ...others } = parameters; // their pictures are grey
  try {
    return await service.clean(body, service.digitsAddress(others), { key: state.key });
  } catch (problem) {
    if (!(problem instanceof service.Problem)) throw problem;
    return { problem };
  }
}

/** What is sent of a picture: the file as it is, or with noise laid over it. */
async function prepare({ file, grey, page }) {
  const noise = file ? state.noise.taken : state.noise.drawn;
  const asked = { ...(page && { page }), ...ofInk() };
  if (!noise) return { body: file ?? (await png(grey)), before: grey, original: grey && file, parameters: asked };
  if (state.colour && file) return { body: file, before: null, parameters: { ...asked, noise, seed: state.seed } };
  const before = grey && noisy(grey, noise, state.seed);
  const body = before && (await png(before));
  if (body && (!file || body.size <= most())) return { body, before, truth: grey, parameters: asked };
  return { body: file, before: null, parameters: { ...asked, noise, seed: state.seed } }; // the service lays its own
}

/** The parameters that say something of the ink. */
function ofInk() {
  return { ...(state.colour && { color: "keep" }), ...(state.invert !== "auto" && { invert: state.invert }) };
}

const most = () => state.limits.max_body_bytes;

function amount(bytes) {
  return `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
}

/** Noise, ink or key are others now: every picture is asked about anew. */
function askAnew(ask) {
  for (const picture of state.pictures) Object.assign(picture, { sent: null, stale: true });
  ask();
}

// ---- showing ---------------------------------------------------------------------------------------------------

/** Shows what there is of the chosen picture; of another one its thumbnail alone. */
function show(picture = chosen()) {
  if (picture) showThumb(picture);
  if (picture !== chosen()) return;
  $("one").hidden = state.view === ALL;
  $("all").hidden = state.view !== ALL;
  $("finish").hidden = state.view === ALL;
  $("find").hidden = state.view === ALL;
  $("result-title").textContent = state.view === ALL ? "Every model's answer" : "The clean picture";
  const { width, height } = picture?.grey ?? picture?.answers.get(state.view)?.after ?? { width: 1, height: 1 };
  const wide = width / height > WIDE;
  $("main").classList.toggle("wide", wide);
  $("note").textContent =
    wide && isFixed(modelOf(state.view)) ? `${state.view} looks for one digit; a page is for models of any size.` : "";
  $("main").classList.toggle("every", state.view === ALL);
  if (state.view === ALL) showAll();
  else showOne(picture?.answers.get(state.view));
  $("save").disabled = !saved().length;
  $("save").textContent = state.view === ALL ? "Save them" : "Save";
  showCall();
}

function showOne(answer) {
  if (chosen() && !answer) return; // what was shown stays until it comes
  const good = Boolean(answer?.after);
  showFound(null);
  $("find").disabled = !good;
  showWarnings(answer?.warnings ?? []);
  $("blank").hidden = Boolean(chosen());
  $("compare").hidden = !good;
  $("facts").hidden = !good;
  showProblem(answer?.problem);
  if (!good) {
    tell("");
    return;
  }
  showCompared(answer);
  showFacts(answer);
  tell(`${verb(answer.model)} by ${answer.model} in ${duration(total(answer))} on ${processor(answer)}`);
  if (chosen()?.digits) showFound(chosen().digits);
}

/** The digits that were found, in the place of those of another picture. */
function showFound(page) {
  const digits = page?.digits ?? [];
  drawBoxes($("boxes"), page?.digits ? page : { width: 1, height: 1, digits });
  listDigits($("digits"), digits);
  $("digits").hidden = !digits.length;
  if (page?.problem) showProblem(page.problem);
  else if (page) tell(digits.length === 1 ? "1 digit found" : `${digits.length || "No"} digits found`);
}

const verb = (name) => (modelOf(name).task === "reconstruct" ? "Given back" : "Denoised");
const total = ({ timing_ms }) => Object.values(timing_ms).reduce((a, b) => a + b);
const processor = ({ provider }) => provider.replace("ExecutionProvider", "");
const duration = (time) => (time < 1000 ? `${time.toFixed(time < 10 ? 1 : 0)} ms` : `${(time / 1000).toFixed(1)} s`);

function showProblem(problem) {
  $("problem").hidden = !problem;
  if (problem && $("problem").textContent !== problem.message) $("problem").textContent = problem.message;
  if (problem?.status === 401) $("key-form").hidden = false;
}

let telling = 0;

function tell(sentence) {
  clearTimeout(telling);
  if ($("status").textContent === sentence) return;
  telling = setTimeout(() => ($("status").textContent = sentence), SETTLED_MS);
}

let painted = { answer: null, before: null, after: null }; // the one that was shown last: its strength changes quickly

async function showCompared(answer) {
  if (painted.answer !== answer) painted = { answer, ...(await paintBoth(answer)) };
  if (answer !== chosen()?.answers.get(state.view)) return; // another one has been chosen meanwhile
  const { before, model } = answer;
  $("compare").classList.toggle("alone", !before);
  replace($("after"), mixed(painted));
  $("after").setAttribute("aria-label", `The clean picture by ${model}`);
  if (before) replace($("before"), painted.before);
  $("before").setAttribute("aria-label", factor() ? "The picture with its noise" : "The picture as it came");
  $("strength").disabled = !before;
  fit();
}

/** What was sent and what came back, in colours where these are wanted. */
async function paintBoth({ file, before, after, original, colour }) {
  const canvases = { before: canvasOf(1, 1), after: canvasOf(1, 1) };
  if (colour) await paintFile(canvases.after, file);
  else paint(canvases.after, after);
  if (before && colour && original) await paintFile(canvases.before, original);
  else if (before) paint(canvases.before, before);
  return canvases;
}

/** An answer at the strength that is wanted; the rest is what was sent. */
function mixed({ answer, before, after }) {
  if (state.strength === 1 || !answer.before) return after;
  const canvas = canvasOf(after.width, after.height);
  replace(canvas, after);
  blend(canvas, before, 1 - state.strength);
  return canvas;
}

function replace(canvas, other) {
  canvas.width = other.width;
  canvas.height = other.height;
  canvas.getContext("2d").drawImage(other, 0, 0);
}

function showWarnings(warnings) {
  $("warnings").hidden = !warnings.length;
  $("warnings").replaceChildren(
    ...warnings.map((warning) => Object.assign(document.createElement("li"), { textContent: warning })),
  );
}

/**
 * The pictures as large as there is room, a pixel of theirs as a whole number of the screen's where that shows; where
 * all is one column, as wide as the drawing.
 */
function fit() {
  const { width, height } = $("after");
  const across = $("one").clientWidth / width;
  const scale = NARROW.matches ? across : Math.min(across, COMPARE_HEIGHT / height);
  const whole = scale > 1 && scale < FREE_SCALE && !NARROW.matches ? Math.floor(scale) : scale;
  const box = $("compare");
  box.style.width = `${width * whole}px`;
  box.style.height = `${height * whole}px`;
  box.classList.toggle("crisp", whole >= FREE_SCALE || (whole >= 1 && Number.isInteger(whole)));
  $("main").style.setProperty("--shown", box.style.width);
}

function split(share) {
  $("split").value = share;
  $("split").setAttribute("aria-valuetext", `${share} % before, ${100 - share} % after`);
  $("compare").style.setProperty("--split", `${share}%`);
}

function showFacts(answer) {
  $("time").textContent = duration(total(answer));
  $("stages").textContent = `${duration(answer.timing_ms.infer)} of it in the model`;
  $("provider").textContent = processor(answer);
  $("polarity").textContent = answer.inverted ? "dark ink, turned over for it" : "light ink, as it is";
  $("uncertainty").textContent = answer.uncertainty.toFixed(3);
  $("psnr").textContent = answer.psnr ? `${answer.psnr.before.toFixed(1)} → ${answer.psnr.after.toFixed(1)} dB` : "–";
  $("psnr-of").textContent = answer.psnr ? "against the picture without noise" : "known when noise is laid over it";

  $("difference").hidden = !answer.before;
  $("difference-told").textContent = answer.before
    ? "Grey is left as it was; light was added, dark was taken away."
    : "What the model saw is known to the service alone, so there is nothing to compare with.";
  if (answer.before) paintFact($("difference"), difference(answer.before, answer.after));
  $("code").hidden = !answer.code;
  $("code-legend").hidden = !answer.code;
  if (!answer.code) {
    const others = state.models.filter(({ outputs }) => outputs.some(({ name }) => name === "code"));
    const which = others.length ? ` Look at ${CHOICE.format(others.map(({ name }) => name))} for one.` : "";
    $("code-told").textContent = `${answer.model} has none to show.${which}`;
    return;
  }
  const { picture, count, shape, least, most } = codePicture(answer.code);
  paintFact($("code"), picture);
  const maps = shape.length === 3 ? ` They are ${shape[2]} maps of ${shape[0]} × ${shape[1]}.` : "";
  $("code-told").textContent = `${count} numbers are all that the model kept of the picture.${maps}`;
  $("least").textContent = least.toFixed(1);
  $("most").textContent = most.toFixed(1);
}

/** A small picture enlarged by whole pixels, so that each is seen. */
function paintFact(canvas, picture) {
  const fits = FACT / Math.max(picture.width, picture.height);
  if (fits < 1) paintSmall(canvas, picture, 2 * FACT);
  else paint(canvas, picture);
  canvas.style.width = `${picture.width * (fits < 1 ? fits : Math.floor(fits))}px`;
}

function showAll() {
  $("facts").hidden = true;
  showWarnings([]);
  showFound(null);
  showProblem(null);
  const answers = state.models.map((model) => chosen()?.answers.get(model.name));
  state.models.forEach((model, i) => showCard($("all").children[i], answers[i]));
  const come = answers.filter((answer) => answer?.model);
  const refused = answers.find((answer) => answer?.problem?.status === 401);
  if (refused) showProblem(refused.problem);
  if (!chosen()) tell("");
  else if (answers.every(Boolean)) tell(`${come.length} models have answered`);
}

function showCard(card, answer) {
  const problem = card.querySelector(".problem");
  const canvas = card.querySelector("canvas");
  card.classList.toggle("empty", !chosen() || Boolean(answer?.problem));
  if (!answer) {
    problem.hidden = true;
    return;
  }
  problem.hidden = !answer.problem;
  problem.textContent = answer.problem?.message ?? "";
  if (answer.problem) return;
  paint(canvas, answer.after);
  canvas.setAttribute("aria-label", `The clean picture by ${answer.model}`);
  const ratio = answer.psnr ? `${answer.psnr.after.toFixed(1)} dB · ` : "";
  card.querySelector(".numbers").textContent = ratio + duration(total(answer));
  const code = answer.code ? `${answer.code.flat(Infinity).length} numbers kept` : "no hidden code";
  card.querySelector(".more").textContent =
    `${code}\nuncertainty ${answer.uncertainty.toFixed(3)}\non ${processor(answer)}`;
}

// ---- several pictures ------------------------------------------------------------------------------------------

function listPictures() {
  const several = state.pictures.length > 1;
  $("strip").hidden = !several;
  $("thumbs").replaceChildren(
    ...(several ? state.pictures : []).map(({ name }, i) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "picture", value: i });
      input.checked = i === state.chosen;
      const canvas = canvasOf(1, 1);
      canvas.setAttribute("aria-hidden", "true");
      const caption = Object.assign(document.createElement("span"), { textContent: name });
      const failed = Object.assign(document.createElement("b"), { textContent: "failed", hidden: true });
      label.append(input, canvas, caption, failed);
      return label;
    }),
  );
  state.pictures.forEach(showThumb);
}

/** The answer if it has come, else the picture. */
function showThumb(picture) {
  const label = $("thumbs").children[state.pictures.indexOf(picture)];
  if (!label) return;
  const answer = picture.answers.get(state.view);
  const shown = answer?.after ?? picture.grey;
  if (shown) paintSmall(label.querySelector("canvas"), shown, THUMB);
  label.querySelector("b").hidden = !answer?.problem;
}

// ---- to take along ---------------------------------------------------------------------------------------------

const fileName = (picture) => picture?.file?.name ?? "drawing.png";
const nameOf = (picture, answer) => `${stem(picture.name)}-${answer.model}.png`;

/** An answer's file as it is shown. */
async function fileOf(answer) {
  if (state.strength === 1 || !answer.before || state.view === ALL) return answer.file;
  const canvas = mixed({ answer, ...(await paintBoth(answer)) });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** The answers that are looked at, as files with names. */
function saved(pictures = chosen() ? [chosen()] : []) {
  return pictures.flatMap((picture) =>
    [...picture.answers.values()]
      .filter((answer) => answer.file && (state.view === ALL || answer.model === state.view))
      .map((answer) => ({ name: nameOf(picture, answer), answer })),
  );
}

async function save(answers) {
  for (const { name, answer } of answers) saveFile(name, await fileOf(answer));
}

function saveFile(name, file) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function showCall() {
  const model = modelOf(state.view) ?? state.models.find((each) => each.default && each.task === "denoise");
  if (!model) return;
  const picture = chosen();
  const noise = factor();
  const address = service.address(model, {
    ...(picture?.page && { page: picture.page }),
    ...ofInk(),
    ...(state.strength < 1 && { strength: state.strength }),
    ...(noise && { noise, seed: state.seed }),
  });
  const kindOfFile = picture?.file ? service.kindOf(picture.file) : "image/png";
  const name = fileName(picture);
  const call = { address, file: name, kind: kindOfFile, keyed: Boolean(state.key) };
  $("call-text").textContent = CALLS[state.language](call);
  $("call-told").textContent = noise ? "The service draws its own noise of this kind, the same for the same seed." : "";
  $("save-input").hidden = !picture;
  $("save-input").textContent = `Save ${name}`;
}

// ---- what can be done ------------------------------------------------------------------------------------------

function listModels() {
  const choice = (value, text) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "model", value });
    input.checked = value === state.view;
    label.append(input, text);
    return label;
  };
  $("models").append(...state.models.map(({ name }) => choice(name, name)), choice(ALL, "All, side by side"));
  $("all").replaceChildren(
    ...state.models.map((model) => {
      const card = $("card").content.cloneNode(true).firstElementChild;
      card.querySelector("h3").textContent = model.name;
      card.querySelector(".title").textContent = model.title;
      card.querySelector("button").setAttribute("aria-label", `Look closer at ${model.name}`);
      card.querySelector("button").addEventListener("click", () => {
        const input = document.querySelector(`input[name=model][value="${model.name}"]`);
        input.click();
        input.focus({ preventScroll: true });
      });
      return card;
    }),
  );
}

function describeModel() {
  const model = modelOf(state.view);
  if (!model) {
    $("model-told").textContent = "Every model on the same picture.";
    return;
  }
  const [, height, width] = model.inputs[0].shape;
  const takes = isFixed(model) ? `one digit of ${height} × ${width}` : "pictures of any size";
  const does = model.task === "reconstruct" ? "Gives a digit back from its hidden code" : "Takes noise off";
  $("model-told").textContent =
    `${model.title}. ${does}; knows ${takes}; ${model.parameters.toLocaleString("en")} parameters.`;
}

function listSamples() {
  for (const [name, told] of SAMPLES) {
    const address = new URL(`samples/${name}.png`, import.meta.url);
    const button = Object.assign(document.createElement("button"), { type: "button", title: told });
    button.append(Object.assign(new Image(), { src: address, alt: told }));
    const file = async () => [new File([await service.file(address)], `${name}.png`, { type: "image/png" })];
    button.addEventListener("click", () => takeFiles(file()).catch(showProblem));
    $("samples").append(button);
  }
}

function listen() {
  $("undo").addEventListener("click", () => pad.undo());
  $("clear").addEventListener("click", () => pad.clear());
  $("pen").addEventListener("input", () => (pad.width = Number($("pen").value)));
  $("dark-ink").addEventListener("change", () => {
    pad.darkInk = $("dark-ink").checked;
    if (!chosen()?.file) draw();
    pad.show();
  });

  $("choose").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    takeFiles([...$("files").files]);
    $("files").value = "";
  });
  addEventListener("paste", (event) => dropped(event, event.clipboardData));
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => ($("drop").hidden = !event.relatedTarget));
  addEventListener("drop", (event) => dropped(event, event.dataTransfer));

  $("noise").addEventListener("input", () => {
    state.noise[kind()] = Number($("noise").value);
    showNoise();
    askAnew(soon);
  });
  $("again").addEventListener("click", () => {
    state.seed = Math.floor(Math.random() * 1e6);
    askAnew(work);
  });

  $("strength").addEventListener("input", () => {
    state.strength = Number($("strength").value);
    $("strength-value").textContent = state.strength.toFixed(2);
    show();
  });
  $("colour").addEventListener("change", () => {
    state.colour = $("colour").checked;
    askAnew(work);
  });
  $("invert").addEventListener("change", () => {
    state.invert = $("invert").value;
    askAnew(work);
  });

  $("models").addEventListener("change", (event) => {
    state.view = event.target.value;
    describeModel();
    state.pictures.forEach(showThumb);
    show();
    work();
  });
  $("thumbs").addEventListener("change", (event) => {
    state.chosen = Number(event.target.value);
    look();
    work();
  });

  $("split").addEventListener("input", () => split(Number($("split").value)));
  const slide = (event) => {
    const box = $("compare").getBoundingClientRect();
    split(Math.round(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * 100));
  };
  $("compare").addEventListener("pointerdown", (event) => {
    $("compare").setPointerCapture(event.pointerId);
    slide(event);
  });
  $("compare").addEventListener("pointermove", (event) => event.buttons && slide(event));
  new ResizeObserver(fit).observe($("one"));

  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    state.key = $("key").value;
    sessionStorage.setItem(KEY, state.key);
    $("key-form").hidden = true;
    askAnew(work);
  });

  $("find").addEventListener("click", findDigits);
  $("save").addEventListener("click", () => save(saved()));
  $("save-all").addEventListener("click", () => save(saved(state.pictures)));
  $("save-input").addEventListener("click", async () => {
    saveFile(fileName(chosen()), chosen().file ?? (await png(chosen().grey)));
  });
  $("copy").addEventListener("click", copy);
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => speak(tab.dataset.language));
    tab.addEventListener("keydown", (event) => {
      const next = { ArrowRight: tab.nextElementSibling, ArrowLeft: tab.previousElementSibling }[event.key];
      next?.focus();
      if (next) speak(next.dataset.language);
    });
  }
}

function dropped(event, data) {
  $("drop").hidden = true;
  const files = [...(data?.files ?? [])];
  if (!files.length && event.type === "paste") return; // text, into the field for the key
  event.preventDefault();
  takeFiles(files);
}

function speak(language) {
  state.language = language;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const selected = tab.dataset.language === language;
    tab.setAttribute("aria-selected", selected);
    tab.tabIndex = selected ? 0 : -1;
    if (selected) $("call").setAttribute("aria-labelledby", tab.id);
  }
  showCall();
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("call-text").textContent);
  } catch {
    getSelection().selectAllChildren($("call-text")); // browsers keep the clipboard from pages without TLS
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

async function start() {
  split(50);
  listSamples();
  listen();
  try {
    const [models, { versions, limits }] = await Promise.all([service.models(), service.info()]);
    state.models = models.toSorted((a, b) => a.task.localeCompare(b.task) || b.default - a.default);
    state.limits = limits;
    $("version").textContent = `Denoise ${versions.denoise}, onnxruntime ${versions.onnxruntime}`;
    $("limits").textContent =
      `PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF, TIFF, PGM or PPM; up to ${amount(limits.max_body_bytes)} and ` +
      `${(limits.max_pixels / 1e6).toLocaleString("en")} million pixels.`;
  } catch (problem) {
    showProblem(problem);
    return;
  }
  state.view = state.models[0]?.name ?? ALL;
  listModels();
  describeModel();
  speak("curl");
  take([drawn()]);
}

start();
