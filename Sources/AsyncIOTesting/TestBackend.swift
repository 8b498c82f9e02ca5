// SPDX-License-Identifier: Apache-2.0
//
// The readiness that a test sees: of the real kernel, and of a network in memory.

package import AsyncIO
package import SystemPackage

/// Where descriptors that are none of the kernel's get their readiness from.
package protocol TestNetwork: AnyObject {
  /// When something will arrive next.
  var nextEvent: Deadline? { get }

  /// Whether a number is one of its descriptors.
  func owns(_ descriptor: Int32) -> Bool

  /// Starts an interest in one of them.
  func watch(_ descriptor: Int32, for readiness: Readiness, notice: @escaping () -> Void) throws(SystemError)
    -> any Watch

  /// Lets arrive what is due, and gives the notices.
  ///
  /// - Returns: Whether there were any.
  func deliver(at now: Deadline) -> Bool
}

/// A ``Backend`` that knows what is watched.
///
/// The real one is made when somebody watches a descriptor of the kernel's, or when the loop has to wait in real time: a
/// loop on virtual time needs none.
package final class TestBackend: Backend {
  package var network: (any TestNetwork)?
  /// What a test says of the calls that are made here; `nil` for nothing.
  var script: ScriptedKernel?
  private let clock: TestClock
  private var kernel: LibEventBackend?
  /// Counts the waits in which something of the network was ready: whoever was told may have to be told again.
  private(set) var notices: UInt64 = 0
  private var records = IdentityMap<TestWatch.Record>()
  /// The loop's own watch for other threads: its first. It waits for the kernel's backend.
  private var early: [TestWatch.Record] = []
  /// How many waits in a row have ended early.
  private var earlyWaits = 0
  /// The watches of the kernel that are the loop's own.
  package var ownWatches: () -> Int = { 1 }

  package init(clock: TestClock, network: (any TestNetwork)? = nil) {
    self.clock = clock
    self.network = network
  }

  package func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, isOwned: Bool, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    let isFirst = kernel == nil && records.isEmpty
    let isOfLoop = isFirst || descriptor == EventLoop.mainQueueDescriptor
    // What a loop needs to run at all is no part of the test.
    if !isOfLoop { try script?.checkWatch() }
    let record = TestWatch.Record(descriptor.rawValue, readiness, isOwned: isOwned, isOfLoop: isOfLoop, notice)
    if let network, network.owns(descriptor.rawValue) {
      record.isOfTheKernel = false
      record.watch = try network.watch(descriptor.rawValue, for: readiness, notice: notice)
    } else if isFirst {
      early.append(record)
    } else {
      try record.start(on: try real())
    }
    records[ObjectIdentifier(record)] = record
    return TestWatch(record, script) { [weak self] in self?.records[ObjectIdentifier($0)] = nil }
  }

  private func real() throws(SystemError) -> LibEventBackend {
    if let kernel { return kernel }
    let made = try LibEventBackend(precise: true)
    kernel = made
    for record in early where !record.hasEnded { try record.start(on: made) }
    early = []
    return made
  }

  /// Gives the kernel's descriptors back. The loop is closed.
  package func end() {
    for record in records.values { record.watch = nil }
    kernel = nil
    early = []
  }

  package func wait(_ limit: WaitLimit) {
    clock.keepLimitOfRealTime()
    if let script {
      // What was ready still is: the next wait is to find it before time passes.
      let isEarly = script.endsWaitEarly() || script.hasFalseReadiness && tellFalsely(script)
      earlyWaits = isEarly ? earlyWaits + 1 : 0
      // A fault that lasts is to be found out as a loop that hangs, which is looked for when a wait lasts.
      if isEarly && earlyWaits % 100 != 0 { return notices &+= 1 }
    }
    if network?.deliver(at: clock.now) == true { notices &+= 1 }
    if limit == .poll && !watchesForOthers { return }
    // Without descriptors for it, a wait becomes a look.
    guard let kernel = try? real() else { return }
    kernel.wait(limit)
  }

  /// Gives a notice of a readiness that is none.
  private func tellFalsely(_ script: ScriptedKernel) -> Bool {
    let candidates = records.values.filter { $0.readiness == .readable && !$0.isOfLoop && !$0.isPaused }
    guard let place = script.falseReadiness(among: candidates.count) else { return false }
    candidates[place].notice()
    return true
  }

  /// Whether somebody but the loop itself waits for a descriptor of the kernel.
  package var watchesForOthers: Bool {
    records.count(where: { $0.isOfTheKernel && !$0.isPaused }) > ownWatches()
  }

  /// What is watched, the loop's own watches left out.
  package func watched(besides own: Set<Int32>) -> [WatchedDescriptor] {
    records.values.filter { !own.contains($0.descriptor) }.map { WatchedDescriptor($0.descriptor, $0.readiness) }
      .sorted { $0.description < $1.description }
  }

  /// The descriptors that are watched now.
  package var watchedDescriptors: Set<Int32> { Set(records.values.map(\.descriptor)) }
}

/// What somebody waits for.
package struct WatchedDescriptor: CustomStringConvertible {
  let descriptor: Int32
  let readiness: Readiness

  init(_ descriptor: Int32, _ readiness: Readiness) {
    self.descriptor = descriptor
    self.readiness = readiness
  }

  package var description: String {
    let state =
      switch readiness {
      case .readable: "readable"
      case .writable: "writable"
      case .arrival: "rung"
      }
    return "a watch of descriptor \(descriptor), until it is \(state)"
  }
}

/// A watch that its backend knows of.
private final class TestWatch: Watch {
  final class Record {
    let descriptor: Int32
    let readiness: Readiness
    var isOfTheKernel = true
    var isPaused = false
    var hasEnded = false
    var watch: (any Watch)?
    /// Whether it is the loop's own: for other threads, or for the main queue.
    let isOfLoop: Bool
    let notice: () -> Void
    private let isOwned: Bool

    init(
      _ descriptor: Int32, _ readiness: Readiness, isOwned: Bool, isOfLoop: Bool, _ notice: @escaping () -> Void
    ) {
      self.descriptor = descriptor
      self.readiness = readiness
      self.isOwned = isOwned
      self.isOfLoop = isOfLoop
      self.notice = notice
    }

    func start(on backend: LibEventBackend) throws(SystemError) {
      watch = try backend.watch(
        FileDescriptor(rawValue: descriptor), for: readiness, isOwned: isOwned, notice: notice)
    }
  }

  private let record: Record
  private let script: ScriptedKernel?
  private let atEnd: (Record) -> Void

  init(_ record: Record, _ script: ScriptedKernel?, atEnd: @escaping (Record) -> Void) {
    self.record = record
    self.script = script
    self.atEnd = atEnd
  }

  func pause() {
    record.isPaused = true
    record.watch?.pause()
  }

  func resume() throws(SystemError) {
    if record.isPaused && !record.isOfLoop { try script?.checkWatch() }
    try record.watch?.resume()
    record.isPaused = false
  }

  func end() {
    guard !record.hasEnded else { return }
    record.hasEnded = true
    record.watch?.end()
    record.watch = nil
    atEnd(record)
  }

  deinit { end() }
}

extension ScriptedKernel {
  /// Counts a call that begins to watch a descriptor, and throws what it is to throw.
  fileprivate func checkWatch() throws(SystemError) {
    do throws(Errno) { try check(.watch) } catch { throw SystemError(error, in: TestLoop.SystemCall.watch.rawValue) }
  }
}
