"""The options of scripts."""

from hounsfield.automation.lua_scripts import LuaOptions
from hounsfield.automation.web_client import WebOptions
from hounsfield.config import records
from hounsfield.config.configuration import Configuration


def lua_options(configuration: Configuration) -> LuaOptions:
    """The options of Lua scripts."""
    manufacturers = {
        each.ae_title: each.manufacturer for each in reversed(records.modalities(configuration).values())
    }
    return LuaOptions(
        scripts=tuple(
            (configuration.base_folder / name).absolute() for name in configuration.texts("LuaScripts")
        ),
        heart_beat_seconds=configuration.integer("LuaHeartBeatPeriod"),
        is_execution_allowed=configuration.boolean("ExecuteLuaEnabled"),
        configuration=configuration.given,
        web=WebOptions(
            timeout_seconds=configuration.integer("HttpTimeout"),
            proxy=configuration.text("HttpProxy"),
            verifies_peers=configuration.boolean("HttpsVerifyPeers"),
            trusted_certificates=configuration.path("HttpsCACertificates"),
        ),
        manufacturer_of=lambda ae_title: manufacturers.get(ae_title, "Generic"),
    )
