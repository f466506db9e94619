/** The drawing area: strokes of a pen, shown large and given as a picture of the size that every model knows. */

export const SIDE = 28; // px of the picture that is given: MNIST's

// A seven, to have something to look at before anything has been drawn.
const EXAMPLE = [
  [
    [7.2, 8.3],
    [12, 7.6],
    [17, 7.5],
    [20.4, 7.2],
    [19.6, 9.6],
    [17, 14],
    [14.6, 18],
    [13.2, 22],
  ],
  [
    [11, 14.6],
    [15, 14],
    [19, 13.8],
  ],
];

export class Pad {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} drawn called whenever the drawing has changed by hand
   */
  constructor(canvas, drawn) {
    this.canvas = canvas;
    this.drawn = drawn;
    this.width = 2.5; // px of the picture
    this.darkInk = false;
    /** @type {{width: number, points: number[][]}[]} */
    this.strokes = EXAMPLE.map((points) => ({ width: this.width, points }));
    this.given = null; // a picture that is shown instead
    this.own = false; // what is shown was drawn here: drawing on adds to it
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.current = null));
    new ResizeObserver(() => this.show()).observe(canvas);
  }

  get empty() {
    return !this.given && !this.strokes.length;
  }

  /** Shows a picture that was not drawn here; the first stroke on it begins a new drawing. */
  put(given) {
    this.given = given;
    this.own = false;
    this.strokes = [];
    this.show();
  }

  undo() {
    this.strokes.pop();
    this.#changed();
  }

  clear() {
    this.given = null;
    this.strokes = [];
    this.#changed();
  }

  /**
   * The drawing as a picture.
   * @returns {import("./pixels.js").Grey}
   */
  picture() {
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    this.#draw(context, 1);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    return { width: SIDE, height: SIDE, data: new Uint8ClampedArray(SIDE * SIDE).map((_, i) => data[4 * i]) };
  }

  show() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    this.canvas.width = side;
    this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    if (!this.given) {
      this.#draw(context, side / SIDE);
      return;
    }
    const { width, height } = this.given;
    const scale = Math.min(side / width, side / height);
    context.imageSmoothingEnabled = scale < 1;
    context.drawImage(
      this.given,
      (side - width * scale) / 2,
      (side - height * scale) / 2,
      width * scale,
      height * scale,
    );
  }

  #draw(context, scale) {
    const [ink, paper] = this.darkInk ? ["#000", "#fff"] : ["#fff", "#000"];
    context.scale(scale, scale);
    context.fillStyle = paper;
    context.fillRect(0, 0, SIDE, SIDE);
    context.strokeStyle = ink;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const { width, points } of this.strokes) {
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...points[0]);
      for (let i = 1; i < points.length - 1; i += 1) {
        const [[x, y], [nextX, nextY]] = [points[i], points[i + 1]];
        context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
      }
      context.lineTo(...points.at(-1));
      context.stroke();
    }
  }

  #begin(event) {
    if (event.button) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    if (!this.own) this.strokes = [];
    this.given = null;
    this.current = { width: this.width, points: [this.#place(event)] };
    this.strokes.push(this.current);
    this.#changed();
  }

  #go(event) {
    if (!this.current) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.current.points.push(...(events.length ? events : [event]).map((each) => this.#place(each)));
    this.#changed();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  #changed() {
    this.own = true;
    this.show();
    this.drawn();
  }
}
