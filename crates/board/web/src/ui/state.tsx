import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon";

interface StateProps {
  icon?: IconName;
  title: string;
  isError?: boolean;
  children?: ComponentChildren;
}

/** Explains an empty place: why it is empty, and what the user can do. */
export function State({ icon, title, isError, children }: StateProps) {
  return (
    <div class={isError ? "state error" : "state"} role={isError ? "alert" : undefined}>
      {icon && <Icon name={icon} />}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

interface UnreadProps {
  error: { message: string } | null;
  /** What to say if there is an error. */
  title: string;
  /** What to say until there is a value or an error. */
  what: string;
}

/** Stands for a value that could not be read, or not yet. */
export function Unread({ error, title, what }: UnreadProps) {
  if (!error) return <Loading what={what} />;
  return (
    <State title={title} isError>
      <p>{error.message}</p>
    </State>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div class="state loading" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>{what}</p>
    </div>
  );
}
