import type { RowStore } from '@edp/messaging'
import { lockNotifications, saveNotifications } from './db/notifications.ts'
import type { Notification } from './domain/notification.ts'

/** The rows that messages need in memory. */
export type NotificationRows = {
  /** By their ids. */
  notifications: Notification
}

/** How the rows of a batch are locked and written. */
export const notificationRows: RowStore<NotificationRows> = {
  keyOf: { notifications: ({ id }) => id },
  load: async (tx, keys) => ({ notifications: await lockNotifications(tx, keys.notifications) }),
  save: async (tx, { notifications }) => saveNotifications(tx, notifications),
}
