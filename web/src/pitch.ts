/** The smallest pitch is one device pixel: a wall shows the whole fleet at once, up to a quarter of a million customers. */
export const SMALLEST_PITCH = 1;

/** The largest pitch at which all cells are in view at once. */
export function fittingPitch(width: number, height: number, cells: number, most: number): number {
  let pitch = Math.max(SMALLEST_PITCH, Math.min(most, Math.ceil(Math.sqrt((width * height) / cells))));
  while (pitch > SMALLEST_PITCH && Math.floor(width / pitch) * Math.floor(height / pitch) < cells) pitch--;
  return pitch;
}
