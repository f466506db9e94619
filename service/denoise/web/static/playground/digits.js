/**
 * The digits of a page: their boxes over it, and their pictures beside each other.
 *
 * @typedef {{x: number, y: number, width: number, height: number, wide: boolean, picture: string}} Digit
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Draws the boxes of a page's digits; dashed where one must hold several.
 * @param {SVGElement} svg lies over the whole page
 * @param {{width: number, height: number, digits: Digit[]}} page
 */
export function drawBoxes(svg, { width, height, digits }) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(
    ...digits.map(({ wide, ...box }) => {
      const rectangle = document.createElementNS(SVG, "rect");
      for (const name of ["x", "y", "width", "height"]) rectangle.setAttribute(name, box[name]);
      rectangle.classList.toggle("several", wide);
      return rectangle;
    }),
  );
}

/**
 * Lists the pictures of a page's digits.
 * @param {HTMLElement} list
 * @param {Digit[]} digits
 */
export function listDigits(list, digits) {
  list.replaceChildren(
    ...digits.map(({ picture, wide }, i) => {
      const image = new Image(28, 28);
      image.src = `data:image/png;base64,${picture}`;
      image.alt = `${wide ? "several digits that touch" : "digit"} ${i + 1}`;
      const item = document.createElement("li");
      item.append(image);
      return item;
    }),
  );
}
