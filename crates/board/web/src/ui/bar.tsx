import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { path } from "../api";
import { chooseTheme, chosenTheme, isDark, onTheme } from "../theme";
import { AccountMenu } from "./account";
import { Icon } from "./icon";
import { Menu } from "./menu";

interface BarProps {
  /** The path to this page: each part with its address; the last is the page itself. */
  trail: { text: string; href?: string }[];
  children?: ComponentChildren;
}

/** The bar at the top of each page. */
export function Bar({ trail, children }: BarProps) {
  return (
    <header class="bar">
      <nav aria-label="Where you are">
        <a class="mark" href="/" aria-label="StreamTable: all tables">
          <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
            <rect width="16" height="16" rx="3.5" class="mark-ground" />
            <path d="M3.5 5h9M3.5 8h6.5M3.5 11h3.5" class="mark-lines" />
            <circle cx="12" cy="11" r="1.6" class="mark-dot" />
          </svg>
        </a>
        <ol>
          {trail.map(({ text, href }, i) => (
            <li key={i}>
              {href ? (
                <a href={href}>{text}</a>
              ) : (
                <h1 title={text}>
                  <bdi>{text}</bdi>
                </h1>
              )}
            </li>
          ))}
        </ol>
      </nav>
      <div class="bar-tools">
        {children}
        <ThemeMenu />
        <AccountMenu />
      </div>
    </header>
  );
}

export function trailOf(entity: string, project: string) {
  return [
    { text: entity, href: `/${encodeURIComponent(entity)}` },
    { text: project, href: `/${path(entity, project)}` },
  ];
}

function ThemeMenu() {
  const [, redraw] = useState(0);
  useEffect(() => onTheme(() => redraw((n) => n + 1)), []);
  const chosen = chosenTheme();
  const item = (theme: "auto" | "light" | "dark", label: string) => ({
    label,
    isChecked: chosen === theme,
    onSelect: () => {
      chooseTheme(theme);
      redraw((n) => n + 1);
    },
  });
  return (
    <Menu
      icon={isDark() ? "moon" : "sun"}
      label="Theme"
      bare
      items={[item("auto", "As the system"), item("light", "Light"), item("dark", "Dark")]}
    />
  );
}

interface FrameBarProps {
  name: string;
  /** The address of this page outside the frame. */
  href: string;
  children: ComponentChildren;
}

/** The bar of a page in a frame of another page. */
export function FrameBar({ name, href, children }: FrameBarProps) {
  return (
    <header class="bar">
      <span class="embed-name">
        <bdi>{name}</bdi>
      </span>
      <div class="bar-tools">
        {children}
        <a
          class="button plain bare"
          href={href}
          target="_blank"
          rel="noopener"
          title="Open in a new tab"
          aria-label="Open in a new tab"
        >
          <Icon name="external" />
        </a>
      </div>
    </header>
  );
}
