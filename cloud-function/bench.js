'use strict'
/* What the tests of tillbook.js share: a platform, a refund to ask for, and calls under the right mac. */
const crypto = require('node:crypto')
const { standin } = require('./standin.js')

const SECRET = 'function-secret-of-the-tests'
process.env.TILLBOOK_FUNCTION_SECRET = SECRET
const tillbook = require('./tillbook.js')

const ORDER = {
  id: 47963,
  trade_no: '1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA',
  transaction_no: 'XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC',
  status: 'success',
  total_cost: '398.00',
  refund_status: null,
  paid_at: 1539335940,
}
const OTHER = Object.assign({}, ORDER, { id: 47964, trade_no: 'T2', transaction_no: 'N2', total_cost: '80.00', paid_at: null, status: 'pending' })
const ASKED = { refund_key: 'till-3-0001', order_id: ORDER.id, refund_amount: '12.50', memo: '少一杯' }
const GIVEN = { id: 1001, refund_no: 'RFN1', refund_amount: '12.50', order_id: ORDER.id, memo: '少一杯', status: 'succeed', error_msg: null }

/** A platform as the function sees it; what the function logs is kept aside. */
function platform(t, options) {
  const made = standin([ORDER, OTHER], options)
  globalThis.BaaS = made.BaaS
  made.logged = []
  t.mock.method(console, 'error', (...words) => made.logged.push(words.join(' ')))
  return made
}

function macOf(op, args, secret = SECRET) {
  return crypto.createHmac('sha256', secret).update(op + '\n' + args).digest('hex')
}

function run(op, args) {
  const text = typeof args === 'string' ? args : JSON.stringify(args)
  return tillbook.main({ data: { op, args: text, mac: macOf(op, text) } })
}

function untouched(calls) {
  return Object.values(calls).every(number => number === 0)
}

module.exports = { tillbook, SECRET, ORDER, OTHER, ASKED, GIVEN, platform, macOf, run, untouched }
