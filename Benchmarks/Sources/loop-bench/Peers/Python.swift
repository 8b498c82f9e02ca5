// SPDX-License-Identifier: Apache-2.0
//
// asyncio, where there is a python3, and uvloop, where that has it: by a script that prints the line of `raw` itself.

import Glibc

extension Contender {
  static let asyncio = Contender(name: "asyncio", work: .python(workloads), most: most)
  static let uvloop = Contender(name: "uvloop", work: .python(workloads), most: most)

  private static let workloads = [
    "soon-batch", "soon-chain", "threadsafe", "timers-fire", "timers-cancel-fifo", "timers-cancel-rand",
    "timers-churn", "spawn-await", "pingpong", "gather", "sleep-gather", "wait-for", "run-blocking",
    "run-blocking-many",
  ]

  private static let most = ["timers-churn": 500_000]
}

/// Makes this process one of Python, which runs the script.
func becomePython(_ contender: Contender, _ workload: Workload, _ count: Int, _ repeats: Int) throws -> Never {
  let script = String(decoding: PackageResources.asyncio_raw_py, as: UTF8.self)
  let words = ["python3", "-c", script, contender.name, workload.name, String(count), String(repeats)]
  var arguments = words.map { strdup($0) } + [nil]
  execvp("python3", &arguments)
  throw MeasurementFailed(description: "python3 did not start: errno \(errno)")
}
