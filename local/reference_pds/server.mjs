// The reference Bluesky server (a PDS) and a directory of identities (PLC) on loopback.
//
//   node server.mjs --port <pds port> --plc-port <plc port> --data <directory>
//
// The directory of identities lives in memory, everything else in <directory>, which may be thrown away afterwards.
// One JSON line {"pds": url, "plc": url} on stdout says that both answer. SIGTERM or SIGINT stops both.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

// Read by the packages' loggers while they are imported, hence before the imports below.
process.env.LOG_ENABLED ??= 'false'

const { values } = parseArgs({
  options: { port: { type: 'string' }, 'plc-port': { type: 'string' }, data: { type: 'string' } },
})
if (!values.port || !values['plc-port'] || !values.data) {
  console.error('usage: node server.mjs --port <port> --plc-port <port> --data <directory>')
  process.exit(2)
}
const port = Number(values.port)
const plcPort = Number(values['plc-port'])
const blobs = path.join(values.data, 'blobs')
const blobsArriving = path.join(values.data, 'blobs-arriving')
for (const directory of [values.data, blobs, blobsArriving]) {
  mkdirSync(directory, { recursive: true })
}

const { default: plcPackage } = await import('@did-plc/server')
const { default: pdsPackage } = await import('@atproto/pds')

// Both packages call `app.listen(port)`, which would listen on every interface.
const onLoopback = (app) => {
  app.listen = (wanted) => http.createServer(app).listen(wanted, '127.0.0.1')
}

const plc = plcPackage.PlcServer.create({ db: plcPackage.Database.mock(), port: plcPort })
onLoopback(plc.app)
await plc.start()

const secret = () => randomBytes(32).toString('hex')
const env = {
  port,
  hostname: 'localhost',
  devMode: true, // plain http to the directory of identities
  inviteRequired: false,
  dataDirectory: values.data,
  blobstoreDiskLocation: blobs,
  blobstoreDiskTmpLocation: blobsArriving,
  didPlcUrl: `http://127.0.0.1:${plcPort}`,
  serviceHandleDomains: ['.test'],
  enableDidDocWithSession: true,
  jwtSecret: secret(),
  dpopSecret: secret(),
  adminPassword: secret(),
  plcRotationKeyK256PrivateKeyHex: secret(),
}
const pds = await pdsPackage.PDS.create(pdsPackage.envToCfg(env), pdsPackage.envToSecrets(env))
onLoopback(pds.app)
await pds.start()

console.log(
  JSON.stringify({ pds: `http://127.0.0.1:${port}`, plc: `http://127.0.0.1:${plcPort}` }),
)

let stopping = false
const stop = async () => {
  if (stopping) return
  stopping = true
  await pds.destroy()
  await plc.destroy()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
