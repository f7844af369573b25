/** How high a line of a log is. */

/** Of a font of 16 pixels, as most browsers have it; fingers need more. */
const FOR_MOUSE = 20 / 16;
const FOR_FINGERS = 24 / 16;

/** In whole pixels, as rows are measured in them. `root` is the size of the font that a person chose in the browser. */
export function lineHeight(root: number, forFingers: boolean): number {
  return Math.round(root * (forFingers ? FOR_FINGERS : FOR_MOUSE));
}
