import type { ErrorForm } from "./types.ts";

/** What the caller gets instead of an answer. */
export interface RefusedAnswer {
  /**
   * 402 if the ledger refuses, 403 if such a call is never sent, 503 if the ledger cannot be reached.
   */
  readonly status: 402 | 403 | 503;
  /** A word that programs can compare: an error code of the ledger's, or why a request is not sent. */
  readonly code: string;
  readonly message: string;
  /** The facts of a refusal of the ledger. */
  readonly detail?: unknown;
}

/** A refusal in the form of the provider's own errors, which the SDKs do not try again. */
export function refusalResponse(form: ErrorForm, refused: RefusedAnswer): Response {
  return Response.json(BODIES[form](refused), {
    status: refused.status,
    headers: { "x-should-retry": "false" },
  });
}

const ANTHROPIC_TYPES = { 402: "billing_error", 403: "permission_error", 503: "api_error" };
const GEMINI_STATUS = { 402: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED", 503: "UNAVAILABLE" };

const BODIES: Readonly<Record<ErrorForm, (refused: RefusedAnswer) => object>> = {
  openai: ({ code, message, detail }) => ({
    error: { message, type: "budget_refused", param: null, code, detail },
  }),
  anthropic: ({ status, code, message, detail }) => ({
    type: "error",
    error: { type: ANTHROPIC_TYPES[status], message, details: { code, detail } },
    request_id: null,
  }),
  gemini: ({ status, code, message, detail }) => ({
    error: {
      code: status,
      message,
      status: GEMINI_STATUS[status],
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: code,
          domain: "baseledger",
          metadata: detail,
        },
      ],
    },
  }),
};
