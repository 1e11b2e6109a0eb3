"""The script of the market chart: it draws the finest level of which few enough candles are in view.

It runs in the reader's page, at every change of the time axis and of the width. The candles of all levels come with
the page, packed; unpacked they stay with the script. Everything shown of them is put into three sources: `bars`
(candles and curves), `marks` (single fills), `tags` (fills gathered by place).
"""

HOUR = 3_600_000
MARKS = (
    *("middle", "price", "marker", "size", "colour", "fill", "strategy", "side", "time"),
    *("notional", "fee", "reason", "cycle", "pnl"),
)
TAGS = (
    *("middle", "price", "text", "colour", "baseline", "up", "n", "strategy", "kind"),
    *("time", "last", "mean", "notional", "fee", "reasons"),
)

_UNPACK = """
const column = ({steps, unit, follow, slope, offset, shift, summed}, others) => {
  const n = steps.length / 4, out = new Float64Array(n), near = others[follow]
  for (let i = 0, sum = 0; i < n; i++) {
    const folded = steps[i] | steps[n + i] << 8 | steps[2 * n + i] << 16 | steps[3 * n + i] << 24
    const step = folded >>> 1 ^ -(folded & 1)
    sum = summed ? sum + step : step
    out[i] = (sum + (near && i >= shift ? Math.floor(slope * near[i - shift] / unit + 0.5) : 0)) * unit + offset
  }
  return out
}
const plain = map => map instanceof Map ? Object.fromEntries(map) : map
const table = columns => {
  const out = {}, body = {}
  for (const [name, packed] of Object.entries(plain(columns))) {
    out[name] = column(plain(packed), {...out, ...body})
    if (name == "open") {
      body.top = out.open.map((open, i) => Math.max(open, out.close[i]))
      body.bottom = out.open.map((open, i) => Math.min(open, out.close[i]))
    }
  }
  return out
}
const opened = () => {
  const all = levels.map(level => { const {name, duration, columns} = plain(level)
                                    return {name, duration, ...table(columns)} })
  const {columns, codes, reasons} = plain(fills)
  return {levels: all, fills: {...table(columns), ...plain(codes), reasons}, seen: ""}
}
"""

_CHOOSE = """
const state = this.state ??= opened()
const from = x_range.start, to = x_range.end, width = plot.inner_width
const seen = [from, to, width].join()
if (seen == state.seen || !(to > from) || !(width > 0)) return
state.seen = seen
// Position of the first of rising values that is at least so large.
const below = (values, least) => {
  let low = 0, high = values.length
  while (low < high) { const middle = (low + high) >> 1; values[middle] < least ? low = middle + 1 : high = middle }
  return low
}
const span = level => [below(level.time, from - level.duration + 1), below(level.time, to)]
// As many as there is room for, so that a narrow screen shows candles too.
const most = Math.min(most_visible, Math.max(0.75 * width, 60))
const level = state.levels.find(l => { const [a, b] = span(l); return b - a <= most }) ?? state.levels.at(-1)
const [first, last] = span(level)
"""

_BARS = """
// One more on each side, so that lines reach the edge.
const a = Math.max(first - 1, 0), b = Math.min(last + 1, level.time.length)
const data = {}
for (const name in level) if (level[name] instanceof Float64Array) data[name] = level[name].slice(a, b)
const n = b - a
data.middle = data.time.map(t => t + level.duration / 2)
// Those beside the window get no body: its border would stand on the edge.
data.width = data.time.map((_, i) => i < first - a || i >= last - a ? NaN : level.duration * 0.7)
data.fill = Array.from(data.close, (close, i) => close >= data.open[i] ? paper : grey)
data.regime = Array.from(data.regime, code => regimes[code])
data.route = Array.from(data.route, code => strategies.filter((_, bit) => code >> bit & 1).join(", ") || "nobody")
data.top_0 = new Float64Array(n)
strategies.forEach((_, k) => {
  data[`top_${k + 1}`] = data[`top_${k}`].map((below, i) => below + data[`exposure_${k}`][i])
})
bars.data = data
"""

_FILLS = """
const f = state.fills
const start = below(f.time, from - level.duration), stop = below(f.time, to + level.duration)
const single = level.duration <= hour || level === state.levels[0]
const blank = names => Object.fromEntries(names.map(name => [name, []]))
const found = blank(marks.columns()), gathered = blank(tags.columns())
const put = (into, row) => { for (const name in row) into[name].push(row[name]) }
const size = stop - start > 150 ? 5 : stop - start > 50 ? 7 : 10
const places = new Map(), step = level.duration * Math.ceil(36 * (to - from) / width / level.duration)
for (let i = start; i < stop; i++) {
  const strategy = f.strategy[i], kind = f.kind[i], colour = colours[strategy], reason = f.reasons[f.reason[i]]
  if (single) {
    put(found, {time: f.time[i], middle: f.time[i] + base / 2, price: f.price[i], marker: markers[kind],
      size, colour, fill: kind == 0 ? colour : paper, strategy: strategies[strategy], side: f.buys[i] ? "buy" : "sell",
      notional: f.notional[i], fee: f.fee[i], reason, cycle: f.cycle[i],
      pnl: f.ended[i] ? f.pnl[i].toFixed(2) : "open"})
  } else {
    const place = Math.floor(f.time[i] / step), key = [place, strategy, kind].join()
    if (!places.has(key)) places.set(key, {place, strategy, kind, n: 0, notional: 0, weight: 0, fee: 0,
      reasons: new Set(), time: f.time[i], last: f.time[i]})
    const one = places.get(key)
    one.n++; one.notional += f.notional[i]; one.weight += f.notional[i] * f.price[i]; one.fee += f.fee[i]
    one.last = f.time[i]; one.reasons.add(reason)
  }
}
"""

_TAGS = """
// Buys hang below the lowest candle of their place, sells and stops stand on the highest.
const inset = 16 * (to - from) / width, ends = new Map(), rows = new Map()
if (places.size) for (let i = 0; i < n; i++) {
  const place = Math.floor(data.time[i] / step), [low, high] = ends.get(place) ?? [Infinity, -Infinity]
  ends.set(place, [Math.min(low, data.low[i]), Math.max(high, data.high[i])])
}
for (const one of [...places.values()].sort((p, q) => p.strategy - q.strategy || p.kind - q.kind)) {
  const {place, strategy, kind} = one, edge = ends.get(place), side = [place, kind > 0].join()
  if (!edge) continue
  const row = rows.get(side) ?? 0
  rows.set(side, row + 1)
  const middle = Math.min(Math.max((place + 0.5) * step, from + inset), to - inset)
  put(gathered, {middle, price: edge[kind > 0 ? 1 : 0], text: signs[kind] + (one.n > 1 ? one.n : ""),
    colour: colours[strategy], baseline: kind > 0 ? "bottom" : "top", up: (kind > 0 ? -1 : 1) * (5 + 13 * row),
    n: one.n, strategy: strategies[strategy], kind: kinds[kind], time: one.time, last: one.last,
    mean: one.weight / one.notional, notional: one.notional, fee: one.fee, reasons: [...one.reasons].join(", ")})
}
marks.data = found
tags.data = gathered
"""

_AXES = """
const within = (names, from = 0, to = n) => {
  let low = Infinity, high = -Infinity
  for (const name of names) for (let i = from; i < to; i++) {
    low = Math.min(low, data[name][i]); high = Math.max(high, data[name][i])
  }
  return [low, high]
}
const follow = (range, low, high, under, over) => {
  if (!(high >= low)) return
  const tall = high - low || Math.abs(high) * 0.01 || 1
  const start = low - tall * under, end = high + tall * over
  range.setv({start, end, reset_start: start, reset_end: end})
}
let [low, high] = within(["low", "high"], first - a, last - a)
const pixel = 1.4 * (high - low) / plot.inner_height
for (const [side, row] of rows) {   // room for the signs
  const [place, up] = side.split(","), [least, most] = ends.get(Number(place)), tall = pixel * (8 + 13 * row)
  if (up == "true") high = Math.max(high, most + tall)
  else low = Math.min(low, least - tall)
}
follow(price, low, high, 0.05, 0.05)
// The holds leave the panel where they would flatten the run's curve.
const own = within(["equity"]), all = within(["equity", "hold", "same_exposure_hold"])
follow(equity, ...(12 * (own[1] - own[0]) > all[1] - all[0] ? all : own), 0.08, 0.08)
follow(drawdown, within(["drawdown"])[0], 0, 0.1, 0)
follow(exposure, 0, within([`top_${strategies.length}`])[1], 0, 0.1)
for (const thing of overlay) thing.visible = level.duration <= hour
const title = titles.find(([name]) => name == level.name)[1]
if (plot.title.text != title) plot.title.text = title
"""

CODE = "".join((_UNPACK, _CHOOSE, _BARS, _FILLS, _TAGS, _AXES))
