import type { ErrorForm } from "./types.ts";

/** What the caller gets instead of an answer. */
export interface RefusedAnswer {
  /** 402 if funds are missing, 403 if such a call is never sent; the SDKs retry neither. */
  readonly status: 402 | 403;
  /** A word that programs can compare: an error code of the ledger's, or why a request is not sent. */
  readonly code: string;
  readonly message: string;
}

/** A refusal in the form of the provider's own errors. */
export function refusalResponse(
  form: ErrorForm,
  { status, code, message }: RefusedAnswer,
): Response {
  return Response.json(BODIES[form]({ status, code, message }), {
    status,
    headers: { "x-should-retry": "false" },
  });
}

const BODIES: Readonly<Record<ErrorForm, (refused: RefusedAnswer) => object>> = {
  openai: ({ code, message }) => ({
    error: { message, type: "budget_refused", param: null, code },
  }),
  anthropic: ({ status, code, message }) => ({
    type: "error",
    error: {
      type: status === 402 ? "billing_error" : "permission_error",
      message,
      details: { code },
    },
    request_id: null,
  }),
  gemini: ({ status, code, message }) => ({
    error: {
      code: status,
      message,
      status: status === 402 ? "FAILED_PRECONDITION" : "PERMISSION_DENIED",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: code,
          domain: "baseledger",
        },
      ],
    },
  }),
};
