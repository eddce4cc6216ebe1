'use strict'
/*
 * tillbook's cloud function for 知晓云 (hydrogen): refunds that go out at most once, and the whole app's orders.
 *
 * BaaS.refund can be called from a cloud function only, takes no refund number of the merchant's, and can pay twice when a
 * part is asked for again after a lost answer. This function puts a row with the merchant's own refund key in front of it:
 * the row is made, under a unique index, before BaaS.refund is called, and the same key never calls it again.
 *
 * To deploy
 *   1. In the dashboard make a data table `tillbook_refunds` with these columns, all of type string:
 *        refund_key  state  order_kind  order_value  refund_amount  memo  refund  note
 *      Take all read and write rights from users: a cloud function needs none of them.
 *   2. Give the column refund_key a unique index (唯一索引).
 *   3. Put a long random secret into SECRET below (for instance the output of `openssl rand -hex 32`) and the same one into the
 *      account's `function_secret`.
 *   4. Make a cloud function named `tillbook` with this file as its code, and let it be called by logged-in users.
 *   5. Run `tillbook check`: its op `health` proves that the index is enforced. Without it no refund is sent.
 *   6. To bring a deployed copy up to date, paste this file over it and put the same SECRET in again; the table stays as it is.
 *   Never delete rows of the table: a deleted row would let its refund go out a second time.
 *
 * To call
 *   Job data is {op, args, mac}. args is a JSON text, mac the lower-case hex HMAC-SHA256 of op + "\n" + args under SECRET.
 *     refund {refund_key, one of order_id | trade_no | transaction_no, refund_amount: "12.50", memo}
 *     lookup {refund_key}     void {refund_key}
 *       -> {state: absent|started|done|failed|void|conflict, refund: {..}|null, replayed}
 *     A refund_key is a door: once void has shut KEY, the same refund may be sent again as KEY.1, after another void as
 *     KEY.2, each with a row of its own. A door opens only behind a shut one; else refund and void answer conflict and do nothing.
 *     Version 1 knew one door only: it refuses a key with a dot as malformed, so that it can never take the second for the first.
 *     list {filter, limit, offset}     get {one of order_id | trade_no | transaction_no}
 *       -> {meta, objects}
 *     health {} -> {index_enforced, version, error}
 *   A call refused before anything was done answers {error}: unauthorized, "malformed: .." or "not_enforced: ..".
 *   Everything else that goes wrong is thrown, so that the job's code is not 0 and nobody takes it for an answer.
 *
 * Written for Node.js 12, which 知晓云 runs, without any package.
 */
const crypto = require('crypto')

const UNSET = 'REPLACE-WITH-A-LONG-RANDOM-SECRET'
// What the merchant replaces; the environment comes first where there is one.
const SECRET = process.env.TILLBOOK_FUNCTION_SECRET || UNSET
const TABLE = 'tillbook_refunds'
const VERSION = '2'

const ORDER_KINDS = ['order_id', 'trade_no', 'transaction_no']
// Every filter that the documentation of getOrderList names.
const FILTERS = [
  'id', 'trade_no', 'transaction_no', 'status', 'refund_status', 'gateway_type',
  'merchandise_record_id', 'merchandise_schema_id', 'merchandise_description', 'merchandise_snapshot',
  'paid_at', 'paid_at__gte', 'paid_at__lte', 'created_at', 'updated_at', 'created_by_id', 'created_by_name',
  'ip_address', 'total_cost', 'refund_amount',
]
// Columns that must come back as they were written: the platform drops what does not fit a column without a word.
const PROVEN_COLUMNS = ['refund_key', 'state', 'order_kind', 'order_value', 'refund_amount', 'refund', 'note']
const FINISH_TRIES = 3

/** A call that is refused before anything was done; its message is the answer's `error`. */
class Refused extends Error {}

const OPS = { refund, lookup, void: voidKey, list, get, health }

exports.main = async function main(event) {
  const call = (event && event.data) || {}
  // Nothing of the call is looked at, parsed or looked up before its mac has been proven.
  if (!authorized(call)) return { error: 'unauthorized' }
  try {
    if (!Object.prototype.hasOwnProperty.call(OPS, call.op)) throw new Refused('malformed: unknown op')
    return await OPS[call.op](parseArgs(call.args))
  } catch (err) {
    if (err instanceof Refused) return { error: err.message }
    throw err
  }
}

// ---------------------------------------------------------------- the call

function authorized(call) {
  if (SECRET === UNSET) {
    // The placeholder can be read by anyone, so it authorizes nobody.
    console.error('tillbook: SECRET is not set, every call is refused')
    return false
  }
  if (typeof call.op !== 'string' || typeof call.args !== 'string' || typeof call.mac !== 'string') return false
  const expected = Buffer.from(crypto.createHmac('sha256', SECRET).update(call.op + '\n' + call.args, 'utf8').digest('hex'))
  const given = Buffer.from(call.mac)
  return given.length === expected.length && crypto.timingSafeEqual(given, expected)
}

function parseArgs(text) {
  let args
  try {
    args = JSON.parse(text)
  } catch (err) {
    throw new Refused('malformed: args is not JSON')
  }
  if (!isObject(args)) throw new Refused('malformed: args is not an object')
  return args
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** The door that the arguments name: its row's key, and the key of the door before it, null for the first. */
function doorOf(args) {
  // A dot is in no refund key, so doors of two refunds never meet; a colon keeps health's probe keys apart from both.
  const parts = typeof args.refund_key === 'string' && /^([0-9A-Za-z_-]{1,32})(?:\.([1-9][0-9]{0,9}))?$/.exec(args.refund_key)
  if (!parts) {
    throw new Refused('malformed: refund_key must be 1 to 32 of 0-9 A-Z a-z _ -, after them at most a dot and a count from 1')
  }
  const shut = Number(parts[2] || 0)
  return { key: parts[0], before: shut === 0 ? null : shut === 1 ? parts[1] : parts[1] + '.' + (shut - 1) }
}

/** The one order that the arguments name, its value as BaaS takes it. */
function orderOf(args) {
  const named = ORDER_KINDS.filter(kind => args[kind] !== undefined && args[kind] !== null)
  if (named.length !== 1) throw new Refused('malformed: exactly one of order_id, trade_no, transaction_no is wanted')
  const kind = named[0]
  const given = args[kind]
  if (kind === 'order_id') {
    const number = typeof given === 'string' && /^[1-9][0-9]{0,15}$/.test(given) ? Number(given) : given
    if (!Number.isSafeInteger(number) || number <= 0) throw new Refused('malformed: order_id is not a whole number')
    return { kind, value: number }
  }
  if (typeof given !== 'string' || given === '') throw new Refused('malformed: ' + kind + ' is not a text')
  return { kind, value: given }
}

/** The amount as a canonical text, "12.50". Never rounds: what is not exact to two decimals is refused. */
function amountOf(args) {
  const text = args.refund_amount
  // Twelve digits before the point keep the later number exact to the fen.
  if (typeof text !== 'string' || !/^(0|[1-9][0-9]{0,11})(\.[0-9]{1,2})?$/.test(text)) {
    throw new Refused('malformed: refund_amount must be a text in yuan with at most two decimals, as "12.50"')
  }
  const parts = text.split('.')
  const canonical = parts[0] + '.' + (parts[1] || '').padEnd(2, '0')
  if (canonical === '0.00') throw new Refused('malformed: refund_amount is zero')
  return canonical
}

function memoOf(args) {
  if (args.memo === undefined || args.memo === null) return ''
  if (typeof args.memo !== 'string') throw new Refused('malformed: memo is not a text')
  return args.memo
}

// ---------------------------------------------------------------- refunds

async function refund(args) {
  const door = doorOf(args)
  const key = door.key
  const order = orderOf(args)
  const amount = amountOf(args)
  const memo = memoOf(args)
  if (!(await opens(door))) return conflict()

  const claim = await claimKey({
    refund_key: key,
    state: 'started',
    order_kind: order.kind,
    order_value: String(order.value),
    refund_amount: amount,
    memo,
    refund: 'null',
    note: '-',
  })
  if (!claim.made) {
    const row = claim.row
    const same = row.order_kind === order.kind && row.order_value === String(order.value) && row.refund_amount === amount
    // A tombstone answers for its key whatever was asked; it keeps no content that could differ.
    if (row.state !== 'void' && !same) return conflict()
    return stored(row, true)
  }

  // Point of no return: from here on the row says started until BaaS.refund has answered. Nothing runs it again.
  const data = { refund_amount: Number(amount) } // the one place where the text becomes BaaS's yuan number; exact, see amountOf
  data[order.kind] = order.value
  if (memo !== '') data.memo = memo
  let answer
  try {
    answer = refundFields(await BaaS.refund(data))
  } catch (err) {
    // It may have thrown after the money moved, so the row stays started; a person finds the reason in note.
    const why = 'BaaS.refund threw: ' + describe(err)
    console.error('tillbook: refund', key, why)
    await fill(claim.id, { note: why.slice(0, 500) })
    return { state: 'started', refund: null, replayed: false }
  }
  const state = answer.status === 'failed' ? 'failed' : 'done'
  await fill(claim.id, { state, refund: JSON.stringify(answer) })
  return { state, refund: answer, replayed: false }
}

async function lookup(args) {
  const row = await findRow(doorOf(args).key)
  // Absent proves nothing: the refund may still be on its way. Only void proves.
  return row ? stored(row, true) : { state: 'absent', refund: null, replayed: false }
}

async function voidKey(args) {
  const door = doorOf(args)
  if (!(await opens(door))) return conflict()
  const claim = await claimKey({
    refund_key: door.key,
    state: 'void',
    order_kind: '-',
    order_value: '-',
    refund_amount: '-',
    memo: '',
    refund: 'null',
    note: '-',
  })
  return claim.made ? { state: 'void', refund: null, replayed: false } : stored(claim.row, true)
}

/**
 * Whether the door before this one is shut. A tombstone never changes, so what is read here stays true.
 *
 * Where it is not, the caller and this table tell two stories, and the refund may have gone out through the earlier door. So nothing
 * is done, and the answer is conflict, which a person must look at: an error would read as "declined, nothing was executed".
 */
async function opens(door) {
  if (door.before === null) return true
  const row = await findRow(door.before)
  return row !== null && row.state === 'void'
}

function conflict() {
  return { state: 'conflict', refund: null, replayed: false }
}

function stored(row, replayed) {
  const kept = JSON.parse(row.refund || 'null')
  return { state: row.state, refund: kept, replayed }
}

/** The documented fields of BaaS.refund's answer; the SDK wraps them in `data`. */
function refundFields(answer) {
  const body = answer && isObject(answer.data) ? answer.data : answer || {}
  const out = {}
  for (const field of ['id', 'refund_no', 'refund_amount', 'order_id', 'memo', 'status', 'error_msg']) {
    out[field] = body[field] === undefined ? null : body[field]
  }
  return out
}

/**
 * Writes what became of a refund into its row. Failing here must not hide what BaaS.refund said, so it only tries and tells;
 * the row then stays started, which later calls answer, and which sends nothing.
 */
async function fill(id, fields) {
  for (let tries = 1; tries <= FINISH_TRIES; tries += 1) {
    try {
      await new BaaS.TableObject(TABLE).getWithoutData(id).set(fields).update()
      return
    } catch (err) {
      console.error('tillbook: row', id, 'could not be filled, try', tries, describe(err), JSON.stringify(fields))
    }
  }
}

// ---------------------------------------------------------------- the table

/**
 * Makes the row unless its key is taken: {made: true, id} or {made: false, row}.
 *
 * A row that was made counts only once the table has refused the same row again: that refusal proves, for this very key and
 * at this very moment, that the unique index is enforced and that no other call can hold the key too. Where it is not
 * refused, both rows are taken back and the call is refused, before anything was sent.
 */
async function claimKey(row) {
  const first = await insert(row)
  if (first.taken) {
    const found = await findRow(row.refund_key)
    // The same code 400 stands for other faults of the table; then nothing was made and nothing is sent.
    if (!found) throw new Refused('not_enforced: the table refused a row whose key is not taken; are all columns there, of type string?')
    return { made: false, row: found }
  }
  const lost = PROVEN_COLUMNS.filter(column => first.row[column] !== row[column])
  if (lost.length > 0) {
    await remove(first.row.id)
    throw new Refused('not_enforced: the table does not keep column ' + lost.join(', ') + ' as a string')
  }
  let second
  try {
    second = await insert(row)
  } catch (err) {
    // Neither refused nor made: unproven, and nothing was sent yet, so the row is taken back. Not so a tombstone: another call may have
    // been shown it meanwhile, and must not find the door open again; left behind it only keeps shut what was to be shut.
    if (row.state !== 'void') await remove(first.row.id)
    throw err
  }
  if (!second.taken) {
    await remove(second.row.id)
    await remove(first.row.id)
    throw new Refused('not_enforced: column refund_key of table ' + TABLE + ' has no unique index')
  }
  return { made: true, id: first.row.id }
}

/** {taken: true} if the table refuses the row with code 400, as it does for a key that is there; else {row} as it was stored. */
async function insert(row) {
  try {
    const res = await new BaaS.TableObject(TABLE).create().set(row).save()
    return { taken: false, row: res.data }
  } catch (err) {
    if (err && Number(err.code) === 400) return { taken: true }
    throw err
  }
}

async function findRow(key) {
  const query = new BaaS.Query()
  query.compare('refund_key', '=', key)
  const res = await new BaaS.TableObject(TABLE).setQuery(query).limit(1).find()
  return res.data.objects[0] || null
}

async function remove(id) {
  await new BaaS.TableObject(TABLE).delete(id)
}

// ---------------------------------------------------------------- orders

async function list(args) {
  const filter = args.filter === undefined || args.filter === null ? {} : args.filter
  if (!isObject(filter)) throw new Refused('malformed: filter is not an object')
  const unknown = Object.keys(filter).filter(name => !FILTERS.includes(name))
  if (unknown.length > 0) throw new Refused('malformed: unknown filter ' + unknown.join(', '))
  return orders(filter, count(args, 'limit', 20), count(args, 'offset', 0))
}

async function get(args) {
  const order = orderOf(args)
  const filter = {}
  filter[order.kind === 'order_id' ? 'id' : order.kind] = order.value
  return orders(filter, 20, 0)
}

async function orders(filter, limit, offset) {
  const res = await new BaaS.Order().limit(limit).offset(offset).getOrderList(filter)
  return { meta: res.data.meta, objects: res.data.objects }
}

function count(args, name, absent) {
  const value = args[name]
  if (value === undefined || value === null) return absent
  if (!Number.isSafeInteger(value) || value < 0) throw new Refused('malformed: ' + name + ' is not a count')
  return value
}

// ---------------------------------------------------------------- health

/** Claims a probe key as a refund would, and removes it again. */
async function health() {
  const probe = {
    refund_key: 'probe:' + crypto.randomBytes(12).toString('hex'),
    state: 'probe',
    order_kind: '-',
    order_value: '-',
    refund_amount: '-',
    memo: '',
    refund: 'null',
    note: '-',
  }
  let claim
  try {
    claim = await claimKey(probe)
  } catch (err) {
    return { index_enforced: false, version: VERSION, error: describe(err) }
  }
  if (!claim.made) return { index_enforced: false, version: VERSION, error: 'a random probe key was taken' }
  await remove(claim.id)
  return { index_enforced: true, version: VERSION, error: null }
}

function describe(err) {
  if (err === null || typeof err !== 'object') return String(err)
  const text = err.message || 'no message'
  return err.code === undefined ? text : err.code + ': ' + text
}
