/**
 * The customer's address out of whatever a proxy wrote: brackets, port and zone are cut, a list gives its first public
 * address. Addresses that cannot be a customer's are dropped; documentation ranges pass, so that tests can be written.
 */
import ipaddr from 'ipaddr.js'
import { isIPv4, isIPv6 } from 'node:net'
import { dropped, type Normalized, read, UNREADABLE } from '../reading.ts'

export function normalizeIpAddress(text: string): Normalized {
  if (isPlainlyPublic(text)) return read(text)
  let none: Normalized = UNREADABLE
  for (const hop of text.split(',', MAX_HOPS)) {
    const address = readAddress(hop)
    if (address?.isPublic) return read(address.text)
    if (address !== undefined) none = dropped('not_public')
  }
  return none
}

interface Address {
  readonly text: string
  readonly isPublic: boolean
}

/** More hops than any X-Forwarded-For has. */
const MAX_HOPS = 32

/** Ranges of ipaddr.js in which no customer is; its `reserved`, which passes, holds the documentation ranges. */
const NOT_PUBLIC: ReadonlySet<string> = new Set(
  'private loopback linkLocal carrierGradeNat unspecified multicast broadcast uniqueLocal deprecatedSiteLocal discard'.split(
    ' ',
  ),
)

/** First octets of IPv4 that some of these ranges have. */
const OCTETS_IN_DOUBT: ReadonlySet<number> = new Set([0, 10, 100, 127, 169, 172, 192])
const FIRST_OCTET_OF_MULTICAST = 224

/** Eight groups as they are sent, in the part of IPv6 that is assigned for use in public. */
const PLAIN_IPV6 = /^[23][\da-f]{3}(?::[1-9a-f][\da-f]{0,3}){7}$/

/** The common cases are not compared with every range: 0.2 instead of 1 µs, or 5 of IPv6. */
function isPlainlyPublic(text: string): boolean {
  if (!isIPv4(text)) return PLAIN_IPV6.test(text)
  const octet = Number.parseInt(text, 10)
  return octet < FIRST_OCTET_OF_MULTICAST && !OCTETS_IN_DOUBT.has(octet)
}

/** 240.0.0.0/4 was never assigned; ipaddr.js calls it `reserved` too. */
const FIRST_OCTET_OF_FUTURE_USE = 240

function readAddress(written: string): Address | undefined {
  const host = written.trim().replace(BRACKETED, '$1').replace(PORT_OF_IPV4, '$1').replace(ZONE, '')
  if (isIPv4(host)) return fromIPv4(ipaddr.IPv4.parse(host))
  if (!isIPv6(host)) return undefined
  const address = ipaddr.IPv6.parse(host)
  if (address.isIPv4MappedAddress()) return fromIPv4(address.toIPv4Address())
  return { text: address.toString(), isPublic: !NOT_PUBLIC.has(address.range()) }
}

function fromIPv4(address: ipaddr.IPv4): Address {
  const isForFutureUse = (address.octets[0] ?? 0) >= FIRST_OCTET_OF_FUTURE_USE
  return { text: address.toString(), isPublic: !isForFutureUse && !NOT_PUBLIC.has(address.range()) }
}

/** `[2001:db8::1]:443`, `[2001:db8::1]`, `203.0.113.7:443`; a bare address with several colons has no port. */
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/
const PORT_OF_IPV4 = /^([0-9.]+):\d{1,5}$/
const ZONE = /%.*$/s
