// Each input of a page says its type, the keyboard that a phone shows and whether a browser may fill it.

/** The types of inputs into which text is typed. */
const isTyped = /^(text|search|tel|url|email|number|password)$/;

/** Returns the inputs of a page that lack an attribute, each with its name. Attributes of our pages hold no `>` as such. */
export function inputFaults(html: string): string[] {
  return [...html.matchAll(/<(input|textarea|select)\b[^>]*>/g)].flatMap(([tag, name]) => {
    const of = (attribute: string) => new RegExp(` ${attribute}="([^"]+)"`).exec(tag)?.[1];
    const type = name === 'input' ? of('type') : name;
    if (type === undefined) return [`no type: ${tag}`];
    if (/^(hidden|checkbox|radio)$/.test(type)) return [];
    const wanted = type === 'textarea' || isTyped.test(type) ? ['autocomplete', 'inputmode'] : ['autocomplete'];
    return wanted.flatMap((attribute) => (of(attribute) === undefined ? [`no ${attribute}: ${tag}`] : []));
  });
}
