'use strict'
/*
 * A stand-in for the global `BaaS` of 知晓云's cloud functions, for the tests: data tables with unique indexes, orders, and
 * BaaS.refund with money that moves and books that can be read.
 *
 * It behaves as the SDK's documentation says: answers are wrapped in {status, data}; a row that breaks a unique index is refused
 * with code 400; a value that does not fit its column is dropped without a word; a missing table is 404. Every call takes
 * a turn of the event loop, so that concurrent calls really interleave.
 */

class HError extends Error {
  constructor(code, message) {
    super(code + ': ' + message)
    this.code = code
  }
}

const COLUMNS = ['refund_key', 'state', 'order_kind', 'order_value', 'refund_amount', 'memo', 'refund', 'note']

/**
 * A platform of one app with `orders` (rows as getOrderList answers them; amounts move in whole fen).
 *
 * Options: `unique` false leaves the index out; `columns` is what the refund table has; `table` false leaves the table out.
 * `faults` may hold, by call name ("save", "update", "delete", "find", "refund", "getOrderList"), a function that is asked before
 * each such call with its number from 1, and may return {before: error}, {after: error} or {answer: value}.
 */
function standin(orders, options) {
  const settings = Object.assign({ unique: true, columns: COLUMNS, table: true, faults: {} }, options)
  const platform = {
    settings,
    rows: [], // of the refund table
    refunds: [], // what BaaS.refund really did: {order_id, fen, memo}
    calls: { save: 0, update: 0, delete: 0, find: 0, refund: 0, getOrderList: 0 },
    asked: [], // arguments of every BaaS.refund call
    listed: [], // arguments of every getOrderList call
  }
  let nextId = 1

  async function call(name, work) {
    platform.calls[name] += 1
    const number = platform.calls[name]
    await turn()
    const fault = settings.faults[name] ? settings.faults[name](number) || {} : {}
    if (fault.before) throw fault.before
    const answer = work()
    await turn()
    if (fault.after) throw fault.after
    return fault.answer === undefined ? answer : fault.answer
  }

  function needTable(name) {
    if (!settings.table || name !== 'tillbook_refunds') throw new HError(404, 'not found')
  }

  function kept(fields) {
    const out = {}
    for (const name of Object.keys(fields)) {
      if (settings.columns.includes(name) && typeof fields[name] === 'string') out[name] = fields[name]
    }
    return out
  }

  class TableRecord {
    constructor(table, id) {
      this.table = table
      this.id = id
      this.fields = {}
    }

    set(fields) {
      Object.assign(this.fields, fields)
      return this
    }

    save() {
      return call('save', () => {
        needTable(this.table)
        const fields = kept(this.fields)
        if (settings.unique && platform.rows.some(row => row.refund_key === fields.refund_key)) {
          throw new HError(400, 'duplicate key')
        }
        const id = 'row' + nextId++
        const row = Object.assign({ id, _id: id, created_at: 1503904437, updated_at: 1503904437 }, fields)
        platform.rows.push(row)
        return { status: 201, data: Object.assign({}, row) }
      })
    }

    update() {
      return call('update', () => {
        needTable(this.table)
        const row = platform.rows.find(one => one.id === this.id)
        if (!row) throw new HError(404, 'not found')
        Object.assign(row, kept(this.fields))
        return { status: 200, data: Object.assign({}, row) }
      })
    }
  }

  class TableObject {
    constructor(table) {
      this.table = table
      this.page = { limit: 20, offset: 0 }
    }

    create() {
      return new TableRecord(this.table)
    }

    getWithoutData(id) {
      return new TableRecord(this.table, id)
    }

    setQuery(query) {
      this.query = query
      return this
    }

    limit(limit) {
      this.page.limit = limit
      return this
    }

    find() {
      return call('find', () => {
        needTable(this.table)
        const found = platform.rows.filter(row => !this.query || this.query.matches(row))
        const objects = found.slice(0, this.page.limit).map(row => Object.assign({}, row))
        return { status: 200, data: { meta: Object.assign({ total_count: found.length }, this.page), objects } }
      })
    }

    delete(id) {
      return call('delete', () => {
        needTable(this.table)
        const at = platform.rows.findIndex(row => row.id === id)
        if (at < 0) throw new HError(404, 'not found')
        platform.rows.splice(at, 1)
        return { status: 204, data: '' }
      })
    }
  }

  class Query {
    constructor() {
      this.terms = []
    }

    compare(field, operator, value) {
      if (operator !== '=') throw new HError(605, 'the stand-in compares with = only')
      this.terms.push([field, value])
      return this
    }

    matches(row) {
      return this.terms.every(([field, value]) => row[field] === value)
    }
  }

  class Order {
    constructor() {
      this.page = { limit: 20, offset: 0 }
    }

    limit(limit) {
      this.page.limit = limit
      return this
    }

    offset(offset) {
      this.page.offset = offset
      return this
    }

    getOrderList(filter) {
      return call('getOrderList', () => {
        platform.listed.push(Object.assign({}, this.page, { filter: Object.assign({}, filter) }))
        const found = orders.filter(order => Object.keys(filter || {}).every(name => fits(order, name, filter[name])))
        const objects = found.slice(this.page.offset, this.page.offset + this.page.limit)
        const meta = Object.assign({ next: null, previous: null, total_count: found.length }, this.page)
        return { status: 200, data: { meta, objects } }
      })
    }
  }

  function refund(data) {
    return call('refund', () => {
      platform.asked.push(Object.assign({}, data))
      const kind = ['order_id', 'trade_no', 'transaction_no'].find(name => data[name] !== undefined)
      const order = orders.find(one => one[kind === 'order_id' ? 'id' : kind] === data[kind])
      if (!order) throw new HError(404, 'not found')
      const fen = fenOf(String(data.refund_amount))
      const left = fenOf(order.total_cost) - sum(platform.refunds.filter(one => one.order_id === order.id))
      const done = fen <= left
      const memo = data.memo === undefined ? '' : data.memo
      if (done) platform.refunds.push({ order_id: order.id, fen, memo })
      const body = {
        id: 1000 + platform.calls.refund,
        order_id: order.id,
        refund_no: 'RFN' + platform.calls.refund,
        refund_amount: yuanOf(fen),
        memo,
        status: done ? 'succeed' : 'failed',
        error_msg: done ? null : '可退金额不足',
        created_at: 1503904437,
      }
      return { status: 201, data: body }
    })
  }

  platform.BaaS = { TableObject, Query, Order, refund }
  return platform
}

function turn() {
  return new Promise(resolve => setImmediate(resolve))
}

function fits(order, name, wanted) {
  if (name === 'paid_at__gte') return order.paid_at !== null && order.paid_at >= wanted
  if (name === 'paid_at__lte') return order.paid_at !== null && order.paid_at <= wanted
  return order[name] === wanted
}

function fenOf(text) {
  const [whole, rest] = text.split('.')
  return Number(whole) * 100 + Number((rest || '').padEnd(2, '0'))
}

function yuanOf(fen) {
  return Math.floor(fen / 100) + '.' + String(fen % 100).padStart(2, '0')
}

function sum(refunds) {
  return refunds.reduce((total, one) => total + one.fen, 0)
}

module.exports = { standin, HError, COLUMNS, sum }
