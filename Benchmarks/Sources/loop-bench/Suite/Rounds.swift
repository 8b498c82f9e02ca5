// SPDX-License-Identifier: Apache-2.0
//
// Measurements of several contenders, by turns: what the machine does meanwhile meets them all.

/// One contender in one row.
struct Series: Codable {
  let workload: String
  /// N, as this contender was asked for it.
  let count: Int
  let contender: String
  let basis: Workload.Basis
  var rounds: [Measurement]

  var wall: Double { median(rounds.map(\.wall)) }
  var fastest: Double { rounds.map(\.wall).min() ?? .nan }
  var processor: Double { median(rounds.map(\.processor)) }
  var time: Double { median(rounds.map { $0.time(basis) }) }
  var operations: Int { rounds.first?.operations ?? 0 }
  var peakKiB: Int { rounds.map(\.peakKiB).max() ?? 0 }
}

/// A workload in one size, and who is to run it how often.
struct Row {
  let workload: Workload
  let size: Workload.Size
  let contenders: [Contender]
  var rounds: Int
  /// How often the body runs in each process.
  var repeats = 1

  /// How many measurements it is.
  var steps: Int { able.count * rounds }

  private var able: [Contender] { contenders.filter { $0.does(workload) } }

  /// Measures all; in the order of the contenders.
  func measure(_ progress: inout Progress) throws -> [Series] {
    var all = able.map { contender in
      let count = min(size.count, contender.most[workload.name] ?? .max)
      return Series(workload: workload.name, count: count, contender: contender.name, basis: size.basis, rounds: [])
    }
    for round in 0..<rounds {
      for (index, contender) in able.enumerated() {
        progress.step("\(workload.name) \(all[index].count), \(contender.name), round \(round + 1) of \(rounds)")
        all[index].rounds.append(try contender.measure(workload, all[index].count, repeats: repeats))
      }
    }
    progress.clear()
    return all
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  let middle = sorted.count / 2
  return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}
