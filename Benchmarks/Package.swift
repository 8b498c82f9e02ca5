// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let package = Package(
  name: "loop-benchmarks",
  dependencies: [
    .package(name: "swift-asyncio", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CEvent", pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),
    // The peer: the same workloads in C on libevent, with nothing in between.
    .target(name: "CRawLibevent", dependencies: ["CEvent"]),
    .executableTarget(
      name: "loop-bench",
      dependencies: [
        "CRawLibevent",
        .product(name: "AsyncIO", package: "swift-asyncio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
  ],
  swiftLanguageModes: [.v6]
)
