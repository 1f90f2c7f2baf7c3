"""The phone page's words and its looks."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "lang": "zh",
        "other": "English",
        "title": "沙箱手机",
        "intro": "这里代替用户的微信：付款、收款、查看消息。只有本机可以访问，资金均为虚构。",
        "payments": "待支付",
        "transfers": "待确认收款",
        "messages": "收到的消息",
        "notifications": "发给商户的通知",
        "people": "用户",
        "people_help": "任何名字都是一个用户；同名即同一个 openid。登录码五分钟内可用一次。",
        "name": "用户名，例如 alice",
        "template": "模板 ID",
        "none": "暂无",
        "pay": "支付",
        "confirm": "确认收款",
        "refuse": "拒绝",
        "code": "取登录码",
        "accept": "接受订阅",
        "code_is": "登录码：",
        "done": "已完成。",
        "failed": "未完成：",
        "reload": "页面已过期，请重新打开。",
        "tries": "已试 {} 次",
        "waiting": "等待发送",
        "sending": "发送中",
        "delivered": "已送达",
        "given_up": "已放弃",
        "kept": "未发送",
    },
    "en": {
        "lang": "en",
        "other": "中文",
        "title": "Sandbox phone",
        "intro": "Stands in for a user's WeChat: pay, take money, read messages. Only this machine "
        "reaches it, and the money is not real.",
        "payments": "To pay",
        "transfers": "Money to accept",
        "messages": "Messages received",
        "notifications": "Notifications to the merchant",
        "people": "People",
        "people_help": "Any name is a person; the same name always has the same openid. A login "
        "code works once, for five minutes.",
        "name": "name, e.g. alice",
        "template": "template id",
        "none": "Nothing",
        "pay": "Pay",
        "confirm": "Accept money",
        "refuse": "Refuse",
        "code": "Get login code",
        "accept": "Accept messages",
        "code_is": "Login code:",
        "done": "Done.",
        "failed": "Not done:",
        "reload": "This page is out of date; open it again.",
        "tries": "{} tried",
        "waiting": "waiting",
        "sending": "being sent",
        "delivered": "delivered",
        "given_up": "given up",
        "kept": "not sent",
    },
}

STYLE = """
body{margin:0;background:#ededed;color:#191919;font:16px/1.5 system-ui,"PingFang SC",
"Microsoft YaHei","Noto Sans CJK SC",sans-serif}
main{max-width:640px;margin:0 auto;padding:16px}
header{display:flex;justify-content:space-between;align-items:baseline}
h1{font-size:22px;margin:8px 0}h2{font-size:15px;color:#666;margin:0 0 8px}
section{background:#fff;border-radius:10px;padding:14px 16px;margin:12px 0}
ul{list-style:none;margin:0;padding:0}
li{display:flex;gap:12px;align-items:center;justify-content:space-between;flex-wrap:wrap;
padding:10px 0;border-top:1px solid #eee}li:first-child{border-top:0}
li>span:first-child{flex:1 1 180px;min-width:0;overflow-wrap:anywhere}
small{display:block;color:#767676;font-size:13px}
.buttons{display:flex;gap:8px}.none{color:#767676;margin:0}
form{display:inline-flex;gap:8px;flex-wrap:wrap;margin:4px 0}
input{font:inherit;padding:8px 10px;border:1px solid #ccc;border-radius:6px;min-width:0}
button{font:inherit;border:0;border-radius:6px;padding:8px 16px;background:#07a052;color:#fff;
cursor:pointer}button.refuse{background:#f2f2f2;color:#c0392b}
.said{background:#e7f6ec;border-radius:8px;padding:10px 14px;overflow-wrap:anywhere}
a{color:#576b95}
"""
