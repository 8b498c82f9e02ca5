// SPDX-License-Identifier: Apache-2.0
//
// A row's measurements as a table for people.

extension Row {
  /// The table of one row: who cannot do it has dashes.
  func table(_ all: [Series]) -> String {
    let base = all.first { $0.contender == workload.base }
    let times = repeats > 1 ? ", \(repeats) times" : ""
    var title = "\(workload.name), N = \(size.count)\(times): nanoseconds for \(workload.operation); "
    title += "ratio of \(size.basis.rawValue) time to \(workload.base)"
    if let target = size.target { title += ", target \(target)" }
    let header =
      "  " + "".padded(16) + ["median", "minimum", "CPU", "ratio", "peak MiB"].map { $0.padded(left: 10) }.joined()
    let lines = contenders.filter { !$0.isPart || $0.does(workload) }.map { contender in
      let name = "  " + contender.name.padded(16)
      guard let series = all.first(where: { $0.contender == contender.name }) else {
        return name + Array(repeating: "-".padded(left: 10), count: 5).joined()
      }
      return name + columns(series, base)
    }
    return ([title, header] + lines).joined(separator: "\n") + "\n"
  }

  private func columns(_ series: Series, _ base: Series?) -> String {
    let texts = [
      series.wall.text(), series.fastest.text(), series.processor.text(),
      base.map { (series.time / $0.time).text(decimals: 2) } ?? "-",
      (Double(series.peakKiB) / 1_024).text(),
    ]
    var line = texts.map { $0.padded(left: 10) }.joined()
    if series.count != size.count { line += "  N = \(series.count)" }
    if series.operations != series.count * repeats { line += "  \(series.operations) operations" }
    return line
  }
}

extension String {
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  func padded(left width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

extension Double {
  func text(decimals: Int = 0) -> String {
    guard isFinite else { return "-" }
    var factor = 1.0
    for _ in 0..<decimals { factor *= 10 }
    let scaled = Int((abs(self) * factor).rounded())
    var digits = String(scaled)
    if decimals > 0 {
      digits = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
      digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -decimals))
    }
    return (self < 0 && scaled > 0 ? "-" : "") + digits
  }
}
