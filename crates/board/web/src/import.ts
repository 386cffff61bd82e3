// Loads parts of the page when they are needed.

const FIRST_WAIT_MS = 500;
const MOST_ATTEMPTS = 8;

/** Imports a module; tries again while the server cannot be reached, as the live connection does. */
export async function importModule<T>(url: string): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      // Browsers may remember a failed address.
      return (await import(attempt === 1 ? url : `${url}?attempt=${attempt}`)) as T;
    } catch (error) {
      if (attempt === MOST_ATTEMPTS || !(error instanceof TypeError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS * 2 ** (attempt - 1)));
    }
  }
}
