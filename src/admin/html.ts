/** The few plain pages that a browser meets on its way through consent: no scripts, nothing from elsewhere. */
import type { FastifyReply, FastifyRequest } from 'fastify'

export function wantsHtml({ headers }: FastifyRequest): boolean {
  return /\btext\/html\b/.test(headers.accept ?? '')
}

/** `formTarget`: where a form's answer may lead the browser, beside this port. */
export function sendPage(reply: FastifyReply, status: number, body: string, formTarget = ''): FastifyReply {
  return reply
    .code(status)
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' ${formTarget}`,
    })
    .send(layOut(body))
}

/** `next`: where the browser goes once it is logged in. */
export function loginForm(next: string, problem = ''): string {
  return `<h1>Log in</h1>
${problem === '' ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
<form method="post" action="/session">
  <input type="hidden" name="next" value="${escapeHtml(next)}">
  <p><label for="admin_token">Admin token</label><br>
  <input id="admin_token" name="admin_token" type="password" autocomplete="current-password" required autofocus></p>
  <p><button>Log in</button></p>
</form>`
}

export function notice(title: string, text: string): string {
  return `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(text)}</p>`
}

function layOut(body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Pinrelay</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 4rem auto; padding: 0 1rem }
  input, button { font: inherit; padding: 0.4rem 0.6rem }
  input { width: 100%; box-sizing: border-box }
</style>
<main>
${body}
</main>
</html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
