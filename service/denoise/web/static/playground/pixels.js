/**
 * Grey pictures: from a file, to a canvas, to a PNG; noise on them and what lies between two of them.
 *
 * @typedef {{width: number, height: number, data: Uint8ClampedArray}} Grey one byte a pixel, 0 is black
 */

const TONES = 255;
const MIDDLE = 128;
const BEST_DB = 100; // what two pictures that are the same are said to have, as the service has it
const ONE_TONE = 0.1 * TONES; // opaque pixels that spread less are of one tone
const LIGHT_INK = 0.05; // of which at most this share is dark
const MOST_INK = 0.75; // of a picture's pixels; what covers more, and has two tones, has paper of its own

/**
 * A file as a grey picture; null when it is of no kind that the browser knows, or too large for it.
 * @param {Blob} file
 * @returns {Promise<Grey | null>}
 */
export async function decode(file) {
  try {
    const image = await createImageBitmap(file, { colorSpaceConversion: "none" });
    const { width, height } = image;
    const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    image.close();
    return { width, height, data: luma(context.getImageData(0, 0, width, height).data) };
  } catch {
    return null;
  }
}

/** ITU-R BT.601, with what is transparent laid over black or white as the service does it. */
function luma(rgba) {
  const count = rgba.length / 4;
  const grey = new Uint8ClampedArray(count);
  let weight = 0;
  let sum = 0;
  let squares = 0;
  let dark = 0;
  for (let i = 0; i < count; i += 1) {
    grey[i] = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
    const alpha = rgba[4 * i + 3] / TONES;
    weight += alpha;
    sum += alpha * grey[i];
    squares += alpha * grey[i] ** 2;
    if (grey[i] < MIDDLE) dark += alpha;
  }
  if (weight === count) return grey;
  const opaque = Math.max(weight, 1e-9);
  const mean = sum / opaque;
  const twoTones = Math.sqrt(Math.max(squares / opaque - mean ** 2, 0)) >= ONE_TONE;
  const hasPaper = weight > MOST_INK * count && twoTones;
  const isWhite = hasPaper ? mean >= MIDDLE : dark / opaque > LIGHT_INK || mean < MIDDLE;
  const paper = isWhite ? TONES : 0;
  for (let i = 0; i < count; i += 1) {
    const alpha = rgba[4 * i + 3] / TONES;
    grey[i] = alpha * grey[i] + (1 - alpha) * paper;
  }
  return grey;
}

/**
 * Paints a file on a canvas as it is, with its colours; the canvas takes its size.
 * @param {HTMLCanvasElement} canvas
 * @param {Blob} file of a kind that the browser knows
 */
export async function paintFile(canvas, file) {
  const image = await createImageBitmap(file, { colorSpaceConversion: "none" });
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.close();
}

/**
 * Lays so much of one canvas over another of the same size.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLCanvasElement} other
 * @param {number} share 0 … 1
 */
export function blend(canvas, other, share) {
  const context = canvas.getContext("2d");
  context.globalAlpha = share;
  context.drawImage(other, 0, 0);
  context.globalAlpha = 1;
}

/** @returns {HTMLCanvasElement} */
export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * Paints a picture on a canvas, which takes its size.
 * @param {HTMLCanvasElement} canvas
 * @param {Grey} picture
 */
export function paint(canvas, { width, height, data }) {
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < data.length; i += 1) words[i] = 0xff000000 | (data[i] * 0x010101);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/**
 * Paints a picture on a canvas so that its longer side has at most so many pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {Grey} picture
 * @param {number} side
 */
export function paintSmall(canvas, picture, side) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const whole = canvasOf(1, 1);
  paint(whole, picture);
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
}

/**
 * The picture as a PNG file.
 * @param {Grey} picture
 * @returns {Promise<Blob>}
 */
export function png(picture) {
  const canvas = canvasOf(picture.width, picture.height);
  paint(canvas, picture);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/**
 * Gaussian noise laid over a picture and clipped, the same for the same seed: the service's kind, drawn here so that
 * the page can show it.
 * @param {Grey} picture
 * @param {number} factor deviation, in units of white
 * @param {number} seed
 * @returns {Grey}
 */
export function noisy(picture, factor, seed) {
  const random = mulberry32(seed);
  const data = picture.data.slice();
  for (let i = 0; i < data.length; i += 2) {
    const radius = factor * TONES * Math.sqrt(-2 * Math.log(1 - random())); // Box and Muller, 1958
    const angle = 2 * Math.PI * random();
    data[i] += radius * Math.cos(angle);
    data[i + 1] += radius * Math.sin(angle);
  }
  return { ...picture, data };
}

/** Evenly drawn numbers from 0 to 1 (Tommy Ettinger's mulberry32). */
function mulberry32(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Peak signal-to-noise ratio of two pictures of one size, in dB.
 * @param {Grey} a
 * @param {Grey} b
 */
export function psnr(a, b) {
  let squares = 0;
  for (let i = 0; i < a.data.length; i += 1) squares += (a.data[i] - b.data[i]) ** 2;
  const error = squares / a.data.length / TONES ** 2;
  return error ? Math.min(BEST_DB, -10 * Math.log10(error)) : BEST_DB;
}

/**
 * What was done to a picture: grey where nothing, light where it became lighter, dark where darker.
 * @param {Grey} before
 * @param {Grey} after
 * @returns {Grey}
 */
export function difference(before, after) {
  return { ...before, data: before.data.map((tone, i) => MIDDLE + (after.data[i] - tone) / 2) };
}

/**
 * A hidden code as a picture, black at its least number and white at its most. A list becomes a rectangle as square as
 * it allows; maps, `[height, width, channels]`, stand side by side in such a rectangle.
 * @param {unknown[]} code nested numbers
 */
export function codePicture(code) {
  const shape = [];
  for (let part = code; Array.isArray(part); part = part[0]) shape.push(part.length);
  const numbers = code.flat(Infinity);
  const [height, width, channels] = shape.length === 3 ? shape : [1, 1, numbers.length];
  const gap = height * width > 1 ? 1 : 0;
  let rows = Math.floor(Math.sqrt(channels));
  while (channels % rows) rows -= 1;
  const columns = channels / rows;

  const least = numbers.reduce((a, b) => Math.min(a, b));
  const most = numbers.reduce((a, b) => Math.max(a, b));
  const picture = {
    width: columns * (width + gap) - gap,
    height: rows * (height + gap) - gap,
    data: new Uint8ClampedArray((columns * (width + gap) - gap) * (rows * (height + gap) - gap)).fill(MIDDLE),
  };
  numbers.forEach((number, i) => {
    const channel = i % channels;
    const x = (channel % columns) * (width + gap) + (Math.floor(i / channels) % width);
    const y = Math.floor(channel / columns) * (height + gap) + Math.floor(i / channels / width);
    picture.data[y * picture.width + x] = (TONES * (number - least)) / Math.max(most - least, 1e-9);
  });
  return { picture, count: numbers.length, shape, least, most };
}
