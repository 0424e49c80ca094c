/** As much of a browser as consent needs: it keeps cookies per origin and follows no redirect by itself. */
export interface Browser {
  get(url: string): Promise<BrowserAnswer>
  submit(url: string, form: Readonly<Record<string, string>>): Promise<BrowserAnswer>
  /** As a page's script does. */
  send(url: string, body: object): Promise<BrowserAnswer>
}

export interface BrowserAnswer {
  readonly status: number
  readonly location: string
  readonly headers: Headers
  readonly text: string
}

export function createBrowser(): Browser {
  const cookies = new Map<string, string>()

  async function ask(url: string, init: RequestInit): Promise<BrowserAnswer> {
    const { origin } = new URL(url)
    const cookie = cookies.get(origin)
    const headers = {
      accept: 'text/html,application/xhtml+xml',
      ...(cookie && { cookie }),
      ...(typeof init.body === 'string' && { 'content-type': 'application/json' }),
    }
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    const [set] = response.headers.getSetCookie()
    if (set !== undefined) cookies.set(origin, set.split(';')[0]!)
    const location = response.headers.get('location')
    return {
      status: response.status,
      location: location === null ? '' : new URL(location, url).href,
      headers: response.headers,
      text: await response.text(),
    }
  }

  return {
    get: (url) => ask(url, {}),
    submit: (url, form) => ask(url, { method: 'POST', body: new URLSearchParams(form) }),
    send: (url, body) => ask(url, { method: 'POST', body: JSON.stringify(body) }),
  }
}
