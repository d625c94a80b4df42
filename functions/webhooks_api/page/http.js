const USUAL_TIMEOUT_MS = 15_000;

/** An answer that is not a success, or a missing answer (`status` 0), with a text for the reader. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, errors?: {field: string, reason: string}[]}} [problem]
   */
  constructor(message, { status = 0, errors = [] } = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

const WORDS_BY_STATUS = {
  401: 'Your session has ended.',
  403: 'You may not look at this account.',
  404: 'This was not found.',
  429: 'Too many requests just now. Try again in a moment.',
  503: 'The service is busy or being changed. Try again in a moment.',
};

/**
 * Fetches JSON with a timeout. Throws an ApiError for each failure except the caller's own abort.
 * @param {string} url
 * @param {RequestInit & {timeoutMs?: number}} [options]
 * @returns {Promise<any>} the parsed body, or null if there is none
 */
export async function fetchJson(url, { timeoutMs = USUAL_TIMEOUT_MS, signal, ...options } = {}) {
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
  try {
    const response = await fetch(url, { ...options, signal: either });
    return understand(response, await response.text());
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    throw new ApiError(deadline.aborted
      ? `The service has not answered within ${timeoutMs / 1000} seconds. Try again.`
      : 'The service cannot be reached. Check your connection and try again.');
  }
}

function understand(response, text) {
  const body = parsed(text);
  if (!response.ok) throw problemOf(response.status, body ?? {});
  if (body === undefined) throw new ApiError('The service has sent an answer that this page cannot read.');
  return body;
}

function parsed(text) {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function problemOf(status, body) {
  const words = body.detail ?? body.error_description ?? WORDS_BY_STATUS[status] ?? body.title;
  return new ApiError(String(words ?? `The service has answered ${status}.`), {
    status,
    errors: Array.isArray(body.errors) ? body.errors : [],
  });
}
