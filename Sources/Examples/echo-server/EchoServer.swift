import AsyncIO
final class Counter { var n = 0 }
@main struct EchoServer { static func main() throws { try EventLoop.run { loop in
    let counter = Counter()
    var hits = 0
    loop.callSoon { counter.n += 1; hits += 1; loop.callSoon { counter.n += 1 } }
    let task = loop.createTask { counter.n += 1; hits += 1; loop.callSoon { hits += 1 } }
    try await task.value
    try await sleep(for: .milliseconds(5))
    let h = loop.callLater(.milliseconds(3)) { print("never") }
    h.cancel()
    print(hits, counter.n, task, AnyLoopTask.current!.name)
    task.addDoneCallback { print("done") }
    let t2 = loop.createTask { try await sleep(for: .seconds(10)) }
    try await sleep(for: .milliseconds(5))
    t2.cancel("bored")
    do { try await t2.value } catch { print(error, t2.cancellationReason!) }
    await MainActor.run { print("main actor") }
    print("back")
    async let x = 5
    print(await x)
    try await Task.sleep(for: .milliseconds(3))
    let q = loop.createTask { [unowned loop] in do { try await Task.sleep(for: .seconds(10)) } catch { print("heard", error, loop.isRunning) } }
    try await sleep(for: .milliseconds(5))
    q.cancel()
    try await q.value
 } } }
