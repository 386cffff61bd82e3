// Styles for the shadow trees of Perspective's elements.

import gridText from "./style/grid.shadow.css";
import viewerText from "./style/viewer.shadow.css";

const grid = sheet(gridText);
const viewer = sheet(viewerText);

function sheet(text: string): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return sheet;
}

function adopt(element: Element, sheet: CSSStyleSheet): void {
  const root = element.shadowRoot;
  if (!root || root.adoptedStyleSheets.includes(sheet)) return;
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}

export function dressViewer(element: Element): void {
  adopt(element, viewer);
}

export function dressGrid(element: Element): void {
  adopt(element, grid);
}
