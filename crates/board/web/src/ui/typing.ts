/** Returns whether an event comes from a field in which the user types. */
export function isTyping(event: Event): boolean {
  const target = event.composedPath()[0] as Element;
  return /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || (target as HTMLElement).isContentEditable;
}
