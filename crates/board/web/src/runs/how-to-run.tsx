import { Button } from "../ui/button";
import { toast } from "../ui/toast";
import type { Place } from "./address";

/** Three lines of code that start a run in a project. */
export function HowToRun({ place }: { place: Place }) {
  const names = `entity=${JSON.stringify(place.entity)}, project=${JSON.stringify(place.project)}`;
  const code = `import wandb  # WANDB_BASE_URL=${location.origin}\n\nrun = wandb.init(${names})\nrun.log({"loss": 0.5})`;
  return (
    <div class="how-to-log">
      <pre>{code}</pre>
      <p>
        <Button
          icon="copy"
          label="Copy the code"
          onClick={() => void navigator.clipboard.writeText(code).then(() => toast("The code is copied"))}
        />
      </p>
    </div>
  );
}
