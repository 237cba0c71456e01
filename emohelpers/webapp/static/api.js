// Requests to this server: the one place that speaks to it.

export class Refused extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export async function about() {
  const answer = await fetch("/api/about");
  return answer.json();
}

// Post a picture; `signal` calls it off, and so do `seconds`.
export async function post(path, picture, { headers = {}, signal, seconds }) {
  const control = new AbortController();
  const cancel = () => control.abort();
  const timer = setTimeout(cancel, 1000 * seconds);
  signal?.addEventListener("abort", cancel);
  try {
    const answer = await fetch(path, {
      method: "POST",
      body: picture,
      headers: { "Content-Type": "application/octet-stream", ...headers },
      signal: control.signal,
    });
    const content = await answer.json().catch(() => null);
    if (answer.ok && content) return content;
    const { message, code } = content?.error ?? {};
    throw new Refused(message ?? "The server gave no answer that can be read.", code, answer.status);
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(
      control.signal.aborted ? "The server took too long." : "The server can not be reached.",
      signal?.aborted ? "called_off" : "no_answer", 0);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}
