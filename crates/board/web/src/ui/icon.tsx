/** Icons of 16 by 16, drawn in strokes of the text's colour. */
const PATHS = {
  add: "M8 3v10M3 8h10",
  bell: "M4 11.500V7a4 4 0 018 0v4.500M2.500 11.500h11M6.500 13.500h3",
  board: "M2.5 3.5h11v9h-11zM2.5 7h11M7 7v5.5",
  bookmark: "M4.500 2.500h7v11L8 10.500l-3.500 3z",
  check: "M3 8.5l3.5 3.5L13 4.5",
  chevron: "M4.5 6.5L8 10l3.5-3.5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7v7h-7zM10.5 5.5v-2h-7v7h2",
  download: "M8 2.5v7M5 7l3 3 3-3M3 13h10",
  edit: "M3 13l.6-2.6 7-7 2 2-7 7z",
  external: "M9 3h4v4M13 3L7.5 8.5M11.5 9v3.5h-8v-8H7",
  flag: "M4 14V2.500M4 3h8.500l-2 3 2 3H4",
  home: "M2.5 8L8 3l5.5 5M4.5 7v6h7V7",
  image: "M2.5 3h11v10h-11zM2.5 11l3-3.5 2.5 3 2-2 3.5 3",
  key: "M6 7.500a2.500 2.500 0 100 5 2.500 2.500 0 000-5zM8 8.500l5-5M11 5.500l2 2",
  left: "M9.5 4L5.5 8l4 4",
  link: "M6.5 9.5l3-3M7 4.5l1-1a3 3 0 014.5 4.5l-1 1M9 11.5l-1 1A3 3 0 013.5 8l1-1",
  moon: "M13 9.500A5.5 5.5 0 016.5 3 5.5 5.5 0 108.5 13.5 5.5 5.5 0 0013 9.500z",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  page: "M4 2.500h5l3 3v8H4zM9 2.500v3h3",
  pause: "M5.5 3.500v9M10.5 3.500v9",
  pin: "M6 2.500h4M6.500 2.500v4L4.500 9h7l-2-2.500v-4M8 9v4.500",
  play: "M5 3.500l7 4.5-7 4.500z",
  right: "M6.5 4l4 4-4 4",
  row: "M2.5 4h11M2.5 8h11M2.5 12h11",
  save: "M3 3h8l2 2v8H3zM5.5 3v3.500h4V3M5.5 13V9.500h5V13",
  search: "M7 2.500a4.5 4.5 0 110 9 4.5 4.5 0 010-9zM10.5 10.500L14 14",
  settings: "M2.5 4.500h7M12.5 4.500h1M2.5 11.500h1M6.5 11.500h7M11 3v3M5 10v3",
  sun: "M8 5a3 3 0 110 6 3 3 0 010-6zM8 1.500v1.500M8 13v1.500M1.5 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M12.600 3.400l-1 1M4.400 11.600l-1 1",
  tail: "M4 3.500l4 4 4-4M4 8.500l4 4 4-4",
  trash: "M3 4.500h10M6.5 4.500V3h3v1.500M4.5 4.500l.5 8.500h6l.5-8.5",
  undo: "M4 6.500h6a3 3 0 010 6H7M6.5 3.500l-3 3 3 3",
  redo: "M12 6.500H6a3 3 0 000 6h3M9.5 3.500l3 3-3 3",
  user: "M8 3a2.500 2.500 0 110 5 2.500 2.500 0 010-5zM3.500 13a4.500 4 0 019 0",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width={name === "more" ? 2.2 : 1.4}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
