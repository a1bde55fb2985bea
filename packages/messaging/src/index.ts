export {
  type AllChanged,
  type AllKeys,
  type Changed,
  type Consumer,
  consumer,
  type Decision,
  type HandlerEntry,
  type Keys,
  type MessageHandler,
  on,
  type RowStore,
  type Rows,
  type Tables,
} from './handler.ts'
export { createPipeline, type IncomingMessage, type Pipeline } from './pipeline.ts'
