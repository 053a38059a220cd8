"""Every HTTP operation as one would write it for boto3 alone, without layers.

These make the calls that the service makes, with the same rows in them, and give the same answers.
What they leave out is what the service adds: requests are not checked, errors not told apart, and
calls that could go out together go out one after the other. They are the floor, not an example.
"""

from benchmarks.by_hand import media, posts, webhooks, workspaces

HANDLERS = {
    "listPosts": posts.list_posts,
    "createPost (draft)": posts.create,
    "createPost (scheduled)": posts.create,
    "getPost": posts.get,
    "cancelPost": posts.cancel,
    "editPost": posts.edit,
    "schedulePost": posts.schedule,
    "reschedulePost": posts.reschedule,
    "deletePost": posts.delete,
    "retryPost": posts.retry,
    "approvePost": posts.approve,
    "retryFirstComment": posts.retry_first_comment,
    "listWorkspaces": workspaces.list_workspaces,
    "getWorkspace": workspaces.get_workspace,
    "listSocialAccounts": workspaces.list_accounts,
    "getSocialAccount": workspaces.get_account,
    "disconnectSocialAccount": workspaces.disconnect,
    "presignMedia": media.presign,
    "listMedia": media.list_assets,
    "getMedia": media.get,
    "editMedia": media.edit,
    "deleteMedia": media.delete,
    "createWebhook": webhooks.create,
    "listWebhooks": webhooks.list_webhooks,
    "getWebhook": webhooks.get,
    "editWebhook": webhooks.edit,
    "rotateWebhookSecret": webhooks.rotate_secret,
    "testWebhook": webhooks.test,
    "listDeliveries": webhooks.list_deliveries,
    "getDelivery": webhooks.get_delivery,
    "redeliver": webhooks.redeliver,
    "recoverWebhook": webhooks.recover,
    "deleteWebhook": webhooks.delete,
}
