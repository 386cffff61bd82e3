import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon";

interface ButtonProps {
  icon?: IconName;
  label: string;
  /** Shows the icon alone; the label is read out and shown on hover. */
  bare?: boolean;
  kind?: "plain" | "primary" | "danger";
  pressed?: boolean;
  disabled?: boolean;
  onClick(): void;
  children?: ComponentChildren;
}

export function Button({ icon, label, bare, kind = "plain", pressed, disabled, onClick }: ButtonProps) {
  return (
    <button
      type="button"
      class={`button ${kind} ${bare ? "bare" : ""}`}
      title={bare ? label : undefined}
      aria-label={bare ? label : undefined}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {!bare && <span>{label}</span>}
    </button>
  );
}
