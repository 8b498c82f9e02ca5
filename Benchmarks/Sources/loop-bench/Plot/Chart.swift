// SPDX-License-Identifier: Apache-2.0
//
// Lines on two logarithmic axes, as SVG.

import Foundation

/// A chart, and its place on the page.
struct Chart {
  struct Line {
    let name: String
    let color: String
    var isBold = false
    let points: [(x: Double, y: Double)]
  }

  let title: String
  let lines: [Line]
  var left = 0.0

  static let width = 560.0
  static let height = 420.0
  private static let margin = (left: 64.0, right: 110.0, top: 46.0, bottom: 44.0)

  private var columns: ClosedRange<Int> { Self.decades(lines.flatMap { $0.points.map(\.x) }) }
  private var rows: ClosedRange<Int> { Self.decades(lines.flatMap { $0.points.map(\.y) }) }

  /// The powers of ten around some numbers.
  private static func decades(_ values: [Double]) -> ClosedRange<Int> {
    let exponents = values.filter { $0 > 0 }.map { log10($0) }
    let low = Int((exponents.min() ?? 0).rounded(.down))
    return low...max(low + 1, Int((exponents.max() ?? 1).rounded(.up)))
  }

  private func x(_ value: Double) -> Double {
    let (first, last) = (left + Self.margin.left, left + Self.width - Self.margin.right)
    return first + (log10(value) - Double(columns.lowerBound)) / Double(columns.count - 1) * (last - first)
  }

  private func y(_ value: Double) -> Double {
    let (first, last) = (Self.height - Self.margin.bottom, Self.margin.top)
    return first + (log10(max(value, 1e-3)) - Double(rows.lowerBound)) / Double(rows.count - 1) * (last - first)
  }

  var svg: String {
    let middle = (x(pow(10, Double(columns.lowerBound))) + x(pow(10, Double(columns.upperBound)))) / 2
    return [
      Self.text(middle, 24, title, "font-size='15' text-anchor='middle' font-weight='bold'"),
      Self.text(middle, Self.height - 8, "timers", "text-anchor='middle'"),
      grid, lines.map(drawn).joined(separator: "\n"), labels,
    ].joined(separator: "\n")
  }

  private var grid: String {
    var parts: [String] = []
    for exponent in columns {
      let at = x(pow(10, Double(exponent)))
      parts.append(Self.rule(at, y(pow(10, Double(rows.lowerBound))), at, y(pow(10, Double(rows.upperBound)))))
      parts.append(
        Self.text(at, Self.height - Self.margin.bottom + 18, Self.number(exponent), "text-anchor='middle'"))
    }
    for exponent in rows {
      let at = y(pow(10, Double(exponent)))
      parts.append(Self.rule(x(pow(10, Double(columns.lowerBound))), at, x(pow(10, Double(columns.upperBound))), at))
      parts.append(Self.text(left + Self.margin.left - 8, at + 4, Self.time(exponent), "text-anchor='end'"))
    }
    return parts.joined(separator: "\n")
  }

  private func drawn(_ line: Line) -> String {
    let points = line.points.map { "\(x($0.x).text(decimals: 1)),\(y($0.y).text(decimals: 1))" }
    let width = line.isBold ? 3.5 : 1.8
    let path =
      "<polyline fill='none' stroke='\(line.color)' stroke-width='\(width)' points='\(points.joined(separator: " "))'/>"
    let dots = line.points.map { point in
      "<circle cx='\(x(point.x).text(decimals: 1))' cy='\(y(point.y).text(decimals: 1))' r='\(width + 0.7)' "
        + "fill='\(line.color)'/>"
    }
    return ([path] + dots).joined(separator: "\n")
  }

  /// The names at the ends of the lines, moved apart.
  private var labels: String {
    var next = -Double.infinity
    let ends = lines.compactMap { line in line.points.last.map { (line, $0) } }.sorted { y($0.1.y) < y($1.1.y) }
    return ends.map { line, end in
      let at = max(y(end.y) + 4, next)
      next = at + 15
      let weight = line.isBold ? " font-weight='bold'" : ""
      return Self.text(left + Self.width - Self.margin.right + 10, at, line.name, "fill='\(line.color)'\(weight)")
    }.joined(separator: "\n")
  }

  private static func rule(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    let ends = "x1='\(x1.text(decimals: 1))' y1='\(y1.text(decimals: 1))' "
    return "<line \(ends)x2='\(x2.text(decimals: 1))' y2='\(y2.text(decimals: 1))' stroke='#ddd'/>"
  }

  private static func text(_ x: Double, _ y: Double, _ text: String, _ attributes: String) -> String {
    "<text x='\(x.text(decimals: 1))' y='\(y.text(decimals: 1))' \(attributes)>\(text)</text>"
  }

  private static func number(_ exponent: Int) -> String {
    switch exponent {
    case 6...: "1" + String(repeating: "0", count: exponent - 6) + ",000,000"
    case 3...5: "1" + String(repeating: "0", count: exponent - 3) + ",000"
    default: "1" + String(repeating: "0", count: max(0, exponent))
    }
  }

  private static func time(_ exponent: Int) -> String {
    let (unit, rest) = exponent >= 6 ? ("ms", exponent - 6) : exponent >= 3 ? ("µs", exponent - 3) : ("ns", exponent)
    return "1" + String(repeating: "0", count: max(0, rest)) + " " + unit
  }
}

extension [Chart] {
  /// A page with the charts side by side.
  var svg: String {
    let placed = enumerated().map { index, chart in
      var chart = chart
      chart.left = Double(index) * Chart.width
      return chart.svg
    }
    let (width, height) = (Int(Chart.width) * count, Int(Chart.height))
    return """
      <svg xmlns='http://www.w3.org/2000/svg' width='\(width)' height='\(height)' viewBox='0 0 \(width) \(height)' \
      font-family='sans-serif' font-size='12' fill='#333'>
      <rect width='100%' height='100%' fill='white'/>
      \(placed.joined(separator: "\n"))
      </svg>

      """
  }
}
