/** Colours of a terminal. Whether there are any is the caller's to know. */
import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'

export function paint(text: string, style: Style): string {
  return styleText(style, text, { validateStream: false })
}
