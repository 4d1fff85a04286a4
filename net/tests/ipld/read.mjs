// Reads CAR files with @ipld/car and @ipld/dag-cbor and prints each block's content id and, of
// DAG-CBOR blocks, the link `body`. Fails where a hash is wrong or an encoding not canonical.
//
// Run from standard input, so that the modules are those of the folder that it runs in:
// node --input-type=module - FILE... < read.mjs
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'

for (const file of process.argv.slice(2)) {
  const car = await CarReader.fromBytes(readFileSync(file))
  for await (const { cid, bytes } of car.blocks()) {
    const digest = createHash('sha256').update(bytes).digest()
    if (!digest.equals(Buffer.from(cid.multihash.digest))) throw new Error(`${cid} is another block`)
    let line = String(cid)
    if (cid.code === dagCbor.code) {
      const value = dagCbor.decode(bytes)
      if (!Buffer.from(dagCbor.encode(value)).equals(Buffer.from(bytes))) throw new Error(`${cid} is not canonical`)
      line += ` ${value.body}`
    }
    console.log(line)
  }
}
