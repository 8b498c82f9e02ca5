// SPDX-License-Identifier: Apache-2.0
//
// What a timer costs among a thousand, and among a million.

import ArgumentParser
import Foundation

struct Plot: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures timers for N from 1,000 to 1,000,000, and draws CPU time against N as SVG.",
    discussion: "CPU time: few timers spend their 50 ms waiting, whoever keeps them.")

  @Argument(help: "The file of the picture.", completion: .file(extensions: ["svg"]))
  var file: String

  @Option(help: "How often each contender is measured; they take turns.")
  var rounds = 3

  @Option(help: "The greatest N.")
  var most = 1_000_000

  @Option(help: "Only this contender beside ours; may be repeated.")
  var peer: [String] = []

  func validate() throws {
    guard rounds > 0 else { throw ValidationError("--rounds: give 1 or more") }
    guard most >= 10_000 else { throw ValidationError("--most: give 10000 or more") }
    for name in peer { _ = try Contender.required(name) }
  }

  func run() throws {
    let contenders = availableContenders(peer)
    let rows = ["timers-fire", "timers-cancel-rand"].map { name in
      (try? Workload.required(name)).map { workload in sizes.map { row(workload, $0, contenders) } } ?? []
    }
    var progress = Progress(steps: rows.joined().map(\.steps).reduce(0, +))
    var charts: [Chart] = []
    for rows in rows {
      guard let workload = rows.first?.workload else { continue }
      let all = try rows.flatMap { try $0.measure(&progress) }
      let chart = Self.chart(workload, all)
      charts.append(chart)
      try charts.svg.write(toFile: file, atomically: true, encoding: .utf8)
      tell(workload, chart)
    }
  }

  private var sizes: [Int] { [1_000, 10_000, 100_000, 1_000_000].filter { $0 <= most } }

  private func row(_ workload: Workload, _ count: Int, _ contenders: [Contender]) -> Row {
    // Short ones are repeated, in one process: what comes with its start is no timer's.
    let able = contenders.filter { $0.most[workload.name] ?? .max >= count }
    return Row(
      workload: workload, size: .init(count: count, basis: .processor), contenders: able, rounds: rounds,
      repeats: max(1, 20_000 / count))
  }

  private static func chart(_ workload: Workload, _ all: [Series]) -> Chart {
    let colors = [
      "#d1495b", "#30638e", "#777777", "#bbbbbb", "#edae49", "#b5851f", "#00798c", "#66a182", "#8d6a9f",
    ]
    let lines = zip(Contender.all, colors).compactMap { contender, color -> Chart.Line? in
      let points = all.filter { $0.contender == contender.name }.map { (x: Double($0.count), y: $0.processor) }
      guard !points.isEmpty else { return nil }
      return Chart.Line(
        name: contender.name, color: color, isBold: contender.name == Contender.ours.name, points: points)
    }
    return Chart(title: "\(workload.name): CPU time to \(workload.operation)", lines: lines)
  }

  /// The numbers of the picture, and how much dearer a timer gets among many.
  private func tell(_ workload: Workload, _ chart: Chart) {
    print("\(workload.name): CPU nanoseconds to \(workload.operation), by N")
    print("  " + "".padded(16) + sizes.map { String($0).padded(left: 10) }.joined() + "  last / first")
    for line in chart.lines {
      let times = sizes.map { size in
        (line.points.first { $0.x == Double(size) }?.y.text() ?? "-").padded(left: 10)
      }
      let growth = line.points.count < 2 ? .nan : line.points[line.points.count - 1].y / line.points[0].y
      print("  " + line.name.padded(16) + times.joined() + growth.text(decimals: 2).padded(left: 14))
    }
    print("")
    fflush(nil)
  }
}
