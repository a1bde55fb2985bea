import { defineConfig } from 'vitest/config'

// Workspace packages are tested from their sources, so no test needs a build; only e2e runs `dist`.
// What follows `source` are vite's defaults, which a list of our own replaces.
const conditions = ['source', 'module', 'node', 'development|production']

export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    passWithNoTests: true,
    // Ends a wait in vain only: one that is not ends when what it waits for is there.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages,apps,infra}/*/src/**/*.test.ts', 'apps/*/explore/**/*.test.ts'],
          // They wait for nothing but a processor, which a busy machine gives them a tenth of.
          testTimeout: 30_000,
          // Half of their time went into loading the same modules for each file. So a test here shares what a module keeps, such as
          // its counters, with those of other files.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['{packages,infra}/*/test/**/*.test.ts', 'apps/!(e2e)/test/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // All files share one set of servers with everything else on the machine. Three for two cores: two leave a quarter of them idle.
          maxWorkers: 3,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['apps/e2e/test/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Each file runs the whole system and fills the machine with it; some stop the servers that all share.
          fileParallelism: false,
        },
      },
    ],
  },
})
