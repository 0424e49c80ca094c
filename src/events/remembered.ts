/** The answers of a pure function to texts that come again and again. Forgets them all when they are too many, which seldom happens. */
export function remembered<Text extends string, Answer extends object | string | boolean>(
  most: number,
  answer: (text: Text) => Answer,
): (text: Text) => Answer {
  const known = new Map<Text, Answer>()
  return (text) => {
    let found = known.get(text)
    if (found === undefined) {
      found = answer(text)
      if (known.size >= most) known.clear()
      known.set(text, found)
    }
    return found
  }
}
